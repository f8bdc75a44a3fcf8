package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// resolveModels reads all models, sorted by name. A model that cannot be used is left out, so that a server for which it
// is active gets a message.
func (l *loader) resolveModels() []*Model {
	var models []*Model
	for _, name := range sortedKeys(l.models) {
		sec := l.models[name]
		if m := l.resolveModel(sec); m != nil && len(sec.messages) == 0 {
			models = append(models, m)
		}
	}
	return models
}

func (l *loader) resolveModel(sec *section) *Model {
	if len(sec.messages) > 0 {
		return nil
	}
	l.checkNames(sec)
	m := &Model{Name: sec.name, values: map[string]Value{}, defined: rangeOf(sec.at)}
	for _, b := range sec.nested {
		d := b.file.diagnostic(Error, b.DefRange(), "Block %q is not allowed in a model", b.Type)
		l.report(sec, d)
	}
	for _, o := range Options() {
		attr, ok := sec.attrs[o.Name]
		if !ok || !o.allowedIn(blockModel) {
			continue
		}
		switch set := l.read(sec, o, attr); set.outcome {
		case valued:
			m.values[o.Name] = set.value
		case rejected:
			l.warnIgnored(sec, o, set)
		}
	}
	m.Cluster, _ = m.values["cluster"].Go.(string)
	if m.Cluster == "" {
		d := sec.file.diagnostic(Error, sec.at, "Parameter \"cluster\" is required in [%s] section.", sec.name)
		d.Option, d.Detail = "cluster", "It names the servers that the model may be applied to."
		l.report(sec, d)
	}
	return m
}

// applyActiveModel lays the model that config-switch recorded over the server's values.
func (l *loader) applyActiveModel(cfg *Config, s *Server, sec *section) {
	s.BackupDirectory = s.values.text("backup_directory")
	if !filepath.IsAbs(s.BackupDirectory) {
		return
	}
	data, err := readLimited(s.ActiveModelFile())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		l.serverError(s, sec, "The active model of server '%s' cannot be read from %s: %v", s.Name, s.ActiveModelFile(), err)
		return
	}
	name := strings.TrimSpace(string(data))
	if name == "" {
		return
	}
	m, ok := cfg.Model(name)
	if !ok {
		l.serverError(s, sec, "Model '%s' is set as the active model for the server '%s' but the model does not exist.", name, s.Name)
		return
	}
	if cluster := s.values.text("cluster"); cluster != m.Cluster {
		l.serverError(s, sec, "Model '%s' has 'cluster=%s', which is not compatible with 'cluster=%s' from server '%s'",
			name, m.Cluster, cluster, s.Name)
		return
	}
	s.ActiveModel = name
	for option, v := range m.values {
		if option != "cluster" && option != "model" {
			s.values.own[option] = v
			delete(s.rejected, option)
		}
	}
}
