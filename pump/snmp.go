package pump

import (
	"context"
	"sync"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/ingest"
	"github.com/stream-pump/stream-pump/pump/agentx"
	"github.com/stream-pump/stream-pump/pump/snmp"
	"github.com/stream-pump/stream-pump/server"
	"github.com/stream-pump/stream-pump/stream"
	"github.com/stream-pump/stream-pump/telemetry"
)

// subAgent is the running SNMP sub-agent with the settings it was started with. Its fields
// are guarded by Pump.mu.
type subAgent struct {
	of   config.SNMP
	stop func() // nil: none runs
}

// setSNMP starts, stops or changes the sub-agent as the configuration says. The caller holds
// p.mu.
func (p *Pump) setSNMP(c config.SNMP) {
	if c == p.snmp.of {
		return
	}
	p.endSNMP()
	p.snmp.of = c
	network, address := c.Master()
	base, err := agentx.ParseOID(c.OID)
	if address == "" || err != nil { // the configuration takes no wrong one
		return
	}
	mib := snmp.New(base, p.figures, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		agentx.Run(ctx, agentx.Options{
			Network: network, Address: address, Subtree: base, Description: "Stream Pump " + p.opts.Version,
			Tree: mib.Tree, Log: p.log,
		})
	})
	p.snmp.stop = func() {
		cancel()
		done.Wait()
	}
}

// endSNMP ends the sub-agent. The caller holds p.mu.
func (p *Pump) endSNMP() {
	if p.snmp.stop != nil {
		p.snmp.stop()
	}
	p.snmp = subAgent{}
}

// yieldSNMP ends the sub-agent of a program that another one has taken over from: a master
// takes one for each subtree.
func (p *Pump) yieldSNMP() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endSNMP()
}

// figures are what the sub-agent tells. It must not take p.mu: whoever holds that may wait
// for the sub-agent to end.
func (p *Pump) figures() snmp.Figures {
	f := snmp.Figures{
		Version: p.opts.Version, Uptime: time.Since(p.started), Draining: p.draining.Load(),
		Connections: uint64(max(p.limits.Usage().Connections, 0)), Panics: telemetry.Panics(),
	}
	for _, s := range p.registry.All() {
		f.Streams = append(f.Streams, figuresOf(s))
	}
	for _, l := range p.readLoops() {
		f.Loops = append(f.Loops, snmp.Loop{Busy: time.Duration(l.Busy)})
	}
	return f
}

func figuresOf(s *stream.Stream) snmp.Stream {
	m, state := s.Metrics(), s.State()
	f := snmp.Stream{
		Path: s.Path(), Name: s.Name(), Source: s.Source(), State: state.String(), Delivering: state.Delivering(),
		Uptime: s.Uptime(), Viewers: uint64(max(s.Viewers(), 0)), ViewersTotal: m.ViewersTotal.Load(),
		BytesIn: m.BytesIn.Load(), BytesOut: m.BytesOut.Load(), PacketsIn: m.PacketsIn.Load(),
		Skipped: m.SkippedPackets.Load(), Reconnects: m.SourceReconnects.Load(),
		PacketDrops: map[string]uint64{}, ViewersEnded: map[string]uint64{},
	}
	if f.Delivering {
		f.RateIn = uint64(max(s.Bitrate(), 0))
	}
	for _, reason := range ingest.DropReasons() {
		f.PacketDrops[reason] = m.PacketsDroppedSoFar(reason)
	}
	for _, reason := range server.Reasons() {
		f.ViewersEnded[string(reason)] = m.ViewersEndedSoFar(string(reason))
	}
	return f
}
