// Package architecture holds the tests that keep the shape of the project: who may import whom, and which files a
// reader can count on.
package architecture
