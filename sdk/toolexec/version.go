package toolexec

import (
	"slices"
	"strconv"
	"strings"
)

// Older compares versions of numbers and dots: whether a comes before b. What is not a number counts as 0.
func Older(a, b string) bool {
	numbers := func(s string) (n []int) {
		for part := range strings.SplitSeq(s, ".") {
			v, _ := strconv.Atoi(part)
			n = append(n, v)
		}
		return n
	}
	return slices.Compare(numbers(a), numbers(b)) < 0
}
