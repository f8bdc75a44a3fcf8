package catalog

import (
	"fmt"

	"github.com/barman-go/barman/core/catalog/pyliteral"
)

// CopyStats says how long the copy of a backup took. All times are in seconds.
//
// A self-contained copy (pg_basebackup, snapshots) only has TotalTime and CopyTime; they are equal. A copy file by
// file has NumberOfWorkers and the rest.
type CopyStats struct {
	// TotalTime is from the start to the end of the copy.
	TotalTime float64
	// CopyTime is the part in which data was copied.
	CopyTime float64
	// AnalysisTime is the part before it, in which files were compared.
	AnalysisTime float64
	// SerializedCopyTime is what CopyTime would have been with one worker.
	SerializedCopyTime float64
	// NumberOfWorkers is 0 for a self-contained copy.
	NumberOfWorkers int
	// The same for each item: pgdata, pg_control, config_file, hba_file, ident_file, and tablespaces by name.
	AnalysisTimePerItem       []ItemTime
	CopyTimePerItem           []ItemTime
	SerializedCopyTimePerItem []ItemTime

	// other holds entries of versions to come; they are kept.
	other pyliteral.Dict
}

// ItemTime is the time for one item, in seconds.
type ItemTime struct {
	Item    string
	Seconds float64
}

// IsZero tells whether nothing is known about the copy.
func (s CopyStats) IsZero() bool {
	return s.TotalTime == 0 && s.CopyTime == 0 && s.AnalysisTime == 0 && s.SerializedCopyTime == 0 &&
		s.NumberOfWorkers == 0 && s.AnalysisTimePerItem == nil && s.CopyTimePerItem == nil &&
		s.SerializedCopyTimePerItem == nil && s.other == nil
}

// Dict is the value as Barman writes it, in its order.
func (s CopyStats) Dict() pyliteral.Dict {
	var d pyliteral.Dict
	put := func(key string, value any) { d = append(d, pyliteral.Pair{Key: key, Value: value}) }
	if s.NumberOfWorkers == 0 {
		put("copy_time", s.CopyTime)
		put("total_time", s.TotalTime)
		return append(d, s.other...)
	}
	put("total_time", s.TotalTime)
	put("number_of_workers", s.NumberOfWorkers)
	put("analysis_time_per_item", itemDict(s.AnalysisTimePerItem))
	put("copy_time_per_item", itemDict(s.CopyTimePerItem))
	put("serialized_copy_time_per_item", itemDict(s.SerializedCopyTimePerItem))
	put("analysis_time", s.AnalysisTime)
	put("copy_time", s.CopyTime)
	put("serialized_copy_time", s.SerializedCopyTime)
	return append(d, s.other...)
}

func itemDict(items []ItemTime) pyliteral.Dict {
	d := pyliteral.Dict{}
	for _, item := range items {
		d = append(d, pyliteral.Pair{Key: item.Item, Value: item.Seconds})
	}
	return d
}

func parseCopyStats(text string) (CopyStats, error) {
	var s CopyStats
	d, err := parseDict(text)
	if err != nil {
		return s, err
	}
	for _, pair := range d {
		var err error
		switch pair.Key {
		case "total_time":
			s.TotalTime, err = seconds(pair.Value)
		case "copy_time":
			s.CopyTime, err = seconds(pair.Value)
		case "analysis_time":
			s.AnalysisTime, err = seconds(pair.Value)
		case "serialized_copy_time":
			s.SerializedCopyTime, err = seconds(pair.Value)
		case "number_of_workers":
			n, ok := pair.Value.(int64)
			if !ok {
				err = fmt.Errorf("%v is not a number of workers", pair.Value)
			}
			s.NumberOfWorkers = int(n)
		case "analysis_time_per_item":
			s.AnalysisTimePerItem, err = itemTimes(pair.Value)
		case "copy_time_per_item":
			s.CopyTimePerItem, err = itemTimes(pair.Value)
		case "serialized_copy_time_per_item":
			s.SerializedCopyTimePerItem, err = itemTimes(pair.Value)
		default:
			s.other = append(s.other, pair)
		}
		if err != nil {
			return CopyStats{}, fmt.Errorf("%v: %w", pair.Key, err)
		}
	}
	return s, nil
}

func seconds(v any) (float64, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	}
	return 0, fmt.Errorf("%v is not a number of seconds", v)
}

func itemTimes(v any) ([]ItemTime, error) {
	d, ok := v.(pyliteral.Dict)
	if !ok {
		return nil, fmt.Errorf("%v is not a dictionary", v)
	}
	items := make([]ItemTime, 0, len(d))
	for _, pair := range d {
		name, ok := pair.Key.(string)
		if !ok {
			return nil, fmt.Errorf("%v is not the name of an item", pair.Key)
		}
		t, err := seconds(pair.Value)
		if err != nil {
			return nil, err
		}
		items = append(items, ItemTime{Item: name, Seconds: t})
	}
	return items, nil
}

func parseDict(text string) (pyliteral.Dict, error) {
	v, err := pyliteral.Parse(text)
	if err != nil {
		return nil, err
	}
	d, ok := v.(pyliteral.Dict)
	if !ok {
		return nil, fmt.Errorf("want a dictionary, found %T", v)
	}
	return d, nil
}
