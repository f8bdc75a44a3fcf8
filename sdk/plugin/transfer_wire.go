package plugin

import (
	"io/fs"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	transferv1 "github.com/barman-go/barman/sdk/pb/barman/transfer/v1"
	"github.com/barman-go/barman/sdk/transfer"
)

// The constants of sdk/transfer count like the enums of the proto; TestConstantsMatchTheWire holds them together.

func planFromWire(r *transferv1.CopyRequest) transfer.Plan {
	p := transfer.Plan{
		Op: r.GetOp(), Direction: transfer.Direction(r.GetDirection()), Workers: max(int(r.GetWorkers()), 1),
		Remote: r.GetRemoteCommand(), NetworkCompression: r.GetNetworkCompression(),
		BandwidthLimit: int(r.GetBandwidthLimit()), Retry: retryFromWire(r.GetRetry()),
		StartBatchSize:   int(r.GetStartBatchSize()),
		StartBatchPeriod: time.Duration(r.GetStartBatchPeriod()) * time.Second,
	}
	for _, i := range r.GetItems() {
		item := transfer.Item{
			Label: i.GetLabel(), Kind: transfer.Kind(i.GetKind()), Source: i.GetSource(), Destination: i.GetDestination(),
			Exclude: i.GetExclude(), Include: i.GetInclude(), ExcludeAndProtect: i.GetExcludeAndProtect(),
			Reuse: transfer.Reuse(i.GetReuse()), ReuseDirectory: i.GetReuseDirectory(),
			BandwidthLimit: int(i.GetBandwidthLimit()), Optional: i.GetOptional(), Phase: int(i.GetPhase()),
			DeleteExtra: i.GetDeleteExtra(),
		}
		if i.GetSafeHorizon() != nil {
			item.SafeHorizon = i.GetSafeHorizon().AsTime()
		}
		p.Items = append(p.Items, item)
	}
	return p
}

func retryFromWire(r *transferv1.Retry) transfer.Retry {
	return transfer.Retry{Times: int(r.GetTimes()), Sleep: time.Duration(r.GetSleepSeconds()) * time.Second}
}

func copyResultToWire(r transfer.CopyResult) *transferv1.CopyResult {
	out := &transferv1.CopyResult{
		Files: r.Files, Bytes: r.Bytes, FilesCopied: r.FilesCopied, BytesCopied: r.BytesCopied, Workers: int32(r.Workers),
		AnalysisSeconds: r.Analysis.Seconds(), CopySeconds: r.Copy.Seconds(), TotalSeconds: r.Total.Seconds(),
	}
	for _, i := range r.Items {
		out.Items = append(out.Items, &transferv1.ItemStats{
			Label: i.Label, AnalysisSeconds: i.Analysis.Seconds(), CopySeconds: i.Copy.Seconds(),
			SerializedCopySeconds: i.SerializedCopy.Seconds(),
		})
	}
	return out
}

func changesFromWire(in []*transferv1.FileChange) []transfer.FileChange {
	var out []transfer.FileChange
	for _, c := range in {
		out = append(out, transfer.FileChange{
			Path: c.GetPath(), Action: transfer.Action(c.GetAction()), Content: c.GetContent(), Mode: fs.FileMode(c.GetMode()),
			Target: c.GetTarget(),
		})
	}
	return out
}

func pathInfosToWire(in []transfer.PathInfo) []*transferv1.PathInfo {
	var out []*transferv1.PathInfo
	for _, p := range in {
		info := &transferv1.PathInfo{
			Path: p.Path, Exists: p.Exists, Type: p.Type, Size: p.Size, HasEntries: p.HasEntries, FreeBytes: p.FreeBytes,
			Writable: p.Writable,
		}
		if !p.Modified.IsZero() {
			info.Modified = timestamppb.New(p.Modified)
		}
		out = append(out, info)
	}
	return out
}

func takeRequestFromWire(r *transferv1.TakeBackupRequest) transfer.TakeBackupRequest {
	req := transfer.TakeBackupRequest{
		Op: r.GetOp(), BackupID: r.GetBackupId(), Destination: r.GetDestination(),
		Tablespaces: tablespacesFromWire(r.GetTablespaces()), Conninfo: r.GetConninfo(), Password: r.GetPassword(),
		ServerVersion: int(r.GetServerVersion()), ImmediateCheckpoint: r.GetImmediateCheckpoint(),
		BandwidthLimit: int(r.GetBandwidthLimit()), IncrementalManifest: r.GetIncrementalManifest(),
		Retry: retryFromWire(r.GetRetry()),
	}
	req.Compression = compressionFromWire(r.GetCompression())
	return req
}

func compressionFromWire(c *transferv1.Compression) *transfer.Compression {
	if c == nil {
		return nil
	}
	return &transfer.Compression{
		Algorithm: c.GetAlgorithm(), Format: c.GetFormat(), Location: c.GetLocation(),
		Level: intFromWire(c.Level), Workers: intFromWire(c.Workers),
	}
}

func intFromWire(p *int32) *int {
	if p == nil {
		return nil
	}
	i := int(*p)
	return &i
}

func tablespacesFromWire(in []*transferv1.Tablespace) []transfer.Tablespace {
	var out []transfer.Tablespace
	for _, t := range in {
		out = append(out, transfer.Tablespace{
			OID: t.GetOid(), Name: t.GetName(), Location: t.GetLocation(), Destination: t.GetDestination(),
		})
	}
	return out
}
