package wire

import (
	"encoding/json"
	"fmt"

	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	"github.com/barman-go/barman/sdk/schema"
)

// FromSchema turns a schema into its wire form. A default that JSON cannot express is an error.
func FromSchema(s schema.Schema) ([]*pluginv1.Attribute, error) {
	var out []*pluginv1.Attribute
	for _, a := range s {
		def := ""
		if a.Default != nil {
			b, err := json.Marshal(a.Default)
			if err != nil {
				return nil, fmt.Errorf("default of option %q: %w", a.Name, err)
			}
			def = string(b)
		}
		out = append(out, &pluginv1.Attribute{
			Name: a.Name,
			// schema.Type and Attribute_Type count alike; TestConstantsMatchTheWire of sdk/plugin holds them together.
			Type:     pluginv1.Attribute_Type(a.Type),
			Required: a.Required, DefaultJson: def, Allowed: a.Allowed, Sensitive: a.Sensitive, Deprecated: a.Deprecated,
			Help: a.Help,
		})
	}
	return out, nil
}

// ToSchema turns the wire form into a schema whose defaults have the Go types that schema.Attribute promises.
func ToSchema(in []*pluginv1.Attribute) (schema.Schema, error) {
	var out schema.Schema
	for _, a := range in {
		attr := schema.Attribute{
			Name: a.GetName(), Type: schema.Type(a.GetType()), Required: a.GetRequired(), Allowed: a.GetAllowed(),
			Sensitive: a.GetSensitive(), Deprecated: a.GetDeprecated(), Help: a.GetHelp(),
		}
		if a.GetDefaultJson() != "" {
			v, err := schema.ParseValues(`{"default":` + a.GetDefaultJson() + `}`)
			if err != nil {
				return nil, fmt.Errorf("default of option %q: %w", a.GetName(), err)
			}
			attr.Default = v["default"]
		}
		out = append(out, attr)
	}
	return out.Normalized(), nil
}
