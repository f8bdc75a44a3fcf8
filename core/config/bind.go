package config

import (
	"fmt"
	"reflect"
	"time"
)

// bind copies values into the fields of a struct that have an option tag. It panics when a field and the table
// disagree: that is a mistake in this package, which a test finds.
func bind(target any, values map[string]Value) {
	v := reflect.ValueOf(target).Elem()
	for i := range v.NumField() {
		name, ok := v.Type().Field(i).Tag.Lookup("option")
		if !ok {
			continue
		}
		value, ok := values[name]
		if !ok {
			panic(fmt.Sprintf("field %s: there is no option %q", v.Type().Field(i).Name, name))
		}
		setField(v.Field(i), value)
	}
}

func setField(field reflect.Value, value Value) {
	if !value.IsSet() {
		field.SetZero()
		return
	}
	x := reflect.ValueOf(value.Go)
	if field.Type() == reflect.TypeFor[time.Duration]() && value.Option.Unit == "seconds" {
		x = reflect.ValueOf(time.Duration(value.Go.(int)) * time.Second)
	}
	if field.Kind() == reflect.Pointer {
		p := reflect.New(field.Type().Elem())
		p.Elem().Set(x)
		x = p
	}
	field.Set(x)
}
