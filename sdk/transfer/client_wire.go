package transfer

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	transferv1 "github.com/barman-go/barman/sdk/pb/barman/transfer/v1"
)

// Constants of this package count like the enums of the proto; TestConstantsMatchTheWire of sdk/plugin holds them together.

func planToWire(instance, op string, p Plan) *transferv1.CopyRequest {
	r := &transferv1.CopyRequest{
		Instance: instance, Op: op, Direction: transferv1.CopyRequest_Direction(p.Direction), Workers: int32(p.Workers),
		RemoteCommand: p.Remote, NetworkCompression: p.NetworkCompression, BandwidthLimit: int64(p.BandwidthLimit),
		Retry: retryToWire(p.Retry), StartBatchSize: int32(p.StartBatchSize), StartBatchPeriod: wholeSeconds(p.StartBatchPeriod),
	}
	for _, i := range p.Items {
		item := &transferv1.Item{
			Label: i.Label, Kind: transferv1.Item_Kind(i.Kind), Source: i.Source, Destination: i.Destination,
			Exclude: i.Exclude, Include: i.Include, ExcludeAndProtect: i.ExcludeAndProtect,
			Reuse: transferv1.Item_Reuse(i.Reuse), ReuseDirectory: i.ReuseDirectory, BandwidthLimit: int64(i.BandwidthLimit),
			Optional: i.Optional, Phase: int32(i.Phase), DeleteExtra: i.DeleteExtra,
		}
		if !i.SafeHorizon.IsZero() {
			item.SafeHorizon = timestamppb.New(i.SafeHorizon)
		}
		r.Items = append(r.Items, item)
	}
	return r
}

func retryToWire(r Retry) *transferv1.Retry {
	return &transferv1.Retry{Times: int32(r.Times), SleepSeconds: wholeSeconds(r.Sleep)}
}

func copyResultFromWire(r *transferv1.CopyResult) CopyResult {
	out := CopyResult{
		Files: r.GetFiles(), Bytes: r.GetBytes(), FilesCopied: r.GetFilesCopied(), BytesCopied: r.GetBytesCopied(),
		Workers: int(r.GetWorkers()), Analysis: seconds(r.GetAnalysisSeconds()), Copy: seconds(r.GetCopySeconds()),
		Total: seconds(r.GetTotalSeconds()),
	}
	for _, i := range r.GetItems() {
		out.Items = append(out.Items, ItemStats{
			Label: i.GetLabel(), Analysis: seconds(i.GetAnalysisSeconds()), Copy: seconds(i.GetCopySeconds()),
			SerializedCopy: seconds(i.GetSerializedCopySeconds()),
		})
	}
	return out
}

func changesToWire(in []FileChange) []*transferv1.FileChange {
	var out []*transferv1.FileChange
	for _, c := range in {
		out = append(out, &transferv1.FileChange{
			Path: c.Path, Action: transferv1.FileChange_Action(c.Action), Content: c.Content, Mode: uint32(c.Mode.Perm()),
			Target: c.Target,
		})
	}
	return out
}

func pathInfosFromWire(in []*transferv1.PathInfo) []PathInfo {
	var out []PathInfo
	for _, p := range in {
		info := PathInfo{
			Path: p.GetPath(), Exists: p.GetExists(), Type: p.GetType(), Size: p.GetSize(), HasEntries: p.GetHasEntries(),
			FreeBytes: p.GetFreeBytes(), Writable: p.GetWritable(),
		}
		if p.GetModified() != nil {
			info.Modified = p.GetModified().AsTime()
		}
		out = append(out, info)
	}
	return out
}

func takeRequestToWire(instance, op string, r TakeBackupRequest) *transferv1.TakeBackupRequest {
	out := &transferv1.TakeBackupRequest{
		Instance: instance, Op: op, BackupId: r.BackupID, Destination: r.Destination,
		Tablespaces: tablespacesToWire(r.Tablespaces), Conninfo: r.Conninfo, Password: r.Password,
		ServerVersion: int32(r.ServerVersion), ImmediateCheckpoint: r.ImmediateCheckpoint,
		BandwidthLimit: int64(r.BandwidthLimit), IncrementalManifest: r.IncrementalManifest, Retry: retryToWire(r.Retry),
	}
	out.Compression = compressionToWire(r.Compression)
	return out
}

func compressionToWire(c *Compression) *transferv1.Compression {
	if c == nil {
		return nil
	}
	return &transferv1.Compression{
		Algorithm: c.Algorithm, Format: c.Format, Location: c.Location, Level: intToWire(c.Level), Workers: intToWire(c.Workers),
	}
}

func intToWire(p *int) *int32 {
	if p == nil {
		return nil
	}
	i := int32(*p)
	return &i
}

func tablespacesToWire(in []Tablespace) []*transferv1.Tablespace {
	var out []*transferv1.Tablespace
	for _, t := range in {
		out = append(out, &transferv1.Tablespace{
			Oid: t.OID, Name: t.Name, Location: t.Location, Destination: t.Destination,
		})
	}
	return out
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

func wholeSeconds(d time.Duration) int32 { return int32((d + time.Second - 1) / time.Second) }
