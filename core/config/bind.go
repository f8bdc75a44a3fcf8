package config

import (
	"fmt"
	"reflect"
	"time"
)

// binding names the field of a struct that holds an option's value.
type binding map[string]int

// bindingOf reads the option tags of a struct type. It panics when a tag and the table disagree: that is a mistake in
// this package, which a test finds.
func bindingOf[T any]() binding {
	t := reflect.TypeFor[T]()
	b := binding{}
	for i := range t.NumField() {
		name, tagged := t.Field(i).Tag.Lookup("option")
		if !tagged {
			continue
		}
		if _, ok := Lookup(name); !ok {
			panic(fmt.Sprintf("field %s: there is no option %q", t.Field(i).Name, name))
		}
		b[name] = i
	}
	return b
}

// set copies values into the fields of the struct that target points to. Fields of other options stay as they are.
func (b binding) set(target any, values map[string]Value) {
	v := reflect.ValueOf(target).Elem()
	for name, value := range values {
		if i, ok := b[name]; ok {
			setField(v.Field(i), value)
		}
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
