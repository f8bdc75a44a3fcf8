package plugin

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/transfer"
)

// description is the JSON that `describe` prints. Members are only ever added.
type description struct {
	Type         string              `json:"type"`
	Name         string              `json:"name"`
	Version      string              `json:"version"`
	Summary      string              `json:"summary"`
	License      string              `json:"license,omitempty"`
	Protocol     int                 `json:"protocol"`
	Services     []string            `json:"services"`
	Capabilities []string            `json:"capabilities"`
	Tools        []toolDescription   `json:"tools"`
	Options      []optionDescription `json:"options"`
	// One of the three, by type; absent when no instance opens without configuration, and Note says why.
	Formats  []formatDescription  `json:"formats,omitempty"`
	Transfer *transferDescription `json:"transfer,omitempty"`
	Events   []string             `json:"events,omitempty"`
	Note     string               `json:"note,omitempty"`
}

type toolDescription struct {
	Name           string `json:"name"`
	MinimumVersion string `json:"minimum_version,omitempty"`
	Required       bool   `json:"required"`
}

type optionDescription struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	Required   bool     `json:"required"`
	Default    any      `json:"default,omitempty"`
	Allowed    []string `json:"allowed,omitempty"`
	Sensitive  bool     `json:"sensitive,omitempty"`
	Deprecated string   `json:"deprecated,omitempty"`
	Help       string   `json:"help"`
}

type formatDescription struct {
	ID            string             `json:"id"`
	Magic         []byte             `json:"magic_base64,omitempty"`
	MagicOffset   int64              `json:"magic_offset"`
	Extension     string             `json:"extension,omitempty"`
	CanCompress   bool               `json:"can_compress"`
	CanDecompress bool               `json:"can_decompress"`
	Levels        *levelsDescription `json:"levels,omitempty"`
}

type levelsDescription struct {
	Min    int `json:"min"`
	Max    int `json:"max"`
	Low    int `json:"low"`
	Medium int `json:"medium"`
	High   int `json:"high"`
}

type transferDescription struct {
	Mode                             string `json:"mode"`
	NeedsSSHCommand                  bool   `json:"needs_ssh_command"`
	SupportsReuse                    bool   `json:"supports_reuse"`
	SupportsBandwidthLimit           bool   `json:"supports_bandwidth_limit"`
	SupportsTablespaceBandwidthLimit bool   `json:"supports_tablespace_bandwidth_limit"`
	SupportsNetworkCompression       bool   `json:"supports_network_compression"`
	SupportsParallelJobs             bool   `json:"supports_parallel_jobs"`
}

func describe(def Definition) (string, error) {
	info := def.info()
	d := description{
		Type: info.GetType(), Name: def.Name, Version: def.Version, Summary: def.Summary, License: def.License,
		Protocol: ProtocolVersion, Services: info.GetServices(), Capabilities: append([]string{}, def.Capabilities...),
		Tools: []toolDescription{}, Options: []optionDescription{},
	}
	for _, t := range def.Tools {
		d.Tools = append(d.Tools, toolDescription(t))
	}
	for _, a := range def.Schema {
		d.Options = append(d.Options, optionDescription{
			Name: a.Name, Type: a.Type.String(), Required: a.Required, Default: a.Default, Allowed: a.Allowed,
			Sensitive: a.Sensitive, Deprecated: a.Deprecated, Help: a.Help,
		})
	}
	if err := d.addInstance(def); err != nil {
		d.Note = "no instance opens without configuration: " + err.Error()
	}
	b, err := json.MarshalIndent(d, "", "  ")
	return string(b), err
}

// addInstance opens an instance with the defaults, to tell what only an instance knows.
func (d *description) addInstance(def Definition) error {
	values, found := def.Schema.Complete(schema.Values{})
	if err := found.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	object, err := def.open(ctx, Env{Config: values, Log: hclog.NewNullLogger()})
	if err != nil {
		return err
	}
	switch o := object.(type) {
	case compress.Compressor:
		for _, f := range o.Formats() {
			fd := formatDescription{
				ID: f.ID, Magic: f.Magic, MagicOffset: f.MagicOffset, Extension: f.Extension,
				CanCompress: f.CanCompress, CanDecompress: f.CanDecompress,
			}
			if f.Levels != nil {
				l := levelsDescription(*f.Levels)
				fd.Levels = &l
			}
			d.Formats = append(d.Formats, fd)
		}
	case transfer.Transfer:
		d.Transfer = describeTransfer(o.Describe())
	case hook.Hook:
		d.Events = o.Events()
	}
	return nil
}

func describeTransfer(t transfer.Description) *transferDescription {
	mode := "file_copy"
	if t.Mode == transfer.SelfContained {
		mode = "self_contained"
	}
	return &transferDescription{
		Mode: mode, NeedsSSHCommand: t.NeedsSSHCommand, SupportsReuse: t.SupportsReuse,
		SupportsBandwidthLimit:           t.SupportsBandwidthLimit,
		SupportsTablespaceBandwidthLimit: t.SupportsTablespaceBandwidthLimit,
		SupportsNetworkCompression:       t.SupportsNetworkCompression, SupportsParallelJobs: t.SupportsParallelJobs,
	}
}
