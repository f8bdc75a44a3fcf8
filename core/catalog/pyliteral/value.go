package pyliteral

// Tuple is a Python tuple.
type Tuple []any

// Pair is one entry of a Dict.
type Pair struct {
	Key   any
	Value any
}

// Dict is a Python dict: its entries in the order in which they are written.
type Dict []Pair

// Get returns the value of the string key, and whether the dict has it. The last of several equal keys wins, as in
// Python.
func (d Dict) Get(key string) (any, bool) {
	for i := len(d) - 1; i >= 0; i-- {
		if k, ok := d[i].Key.(string); ok && k == key {
			return d[i].Value, true
		}
	}
	return nil, false
}
