package stream

import "testing"

// drawer is a bell whose passes draw.
type drawer struct{ bell }

func (*drawer) Draws() {}

// source is lent, and publishes one packet whenever it is drawn from.
type source struct {
	g        *stage
	p        *Publisher
	draws    int
	reclaims int
}

func (s *source) Draw() bool {
	s.draws++
	s.g.mustPublish(s.p, "drawn")
	return true
}

func (s *source) Reclaim() { s.reclaims++ }

// A source is lent only while there are viewers all of whose passes draw, who are told when it begins, and it is asked
// back as soon as that is no longer so.
func TestASourceIsLentToPassesThatDraw(t *testing.T) {
	g := newStage(t)
	p := g.open(Claim{Name: "a"})
	defer p.Lost()
	g.header(p, "h")
	src := &source{g: g, p: p}
	if p.Lend(src) || g.Lent() || g.Drawn() {
		t.Error("lent though nobody watches")
	}
	quiet, one, two := &bell{}, &drawer{}, &drawer{}
	leave := g.Subscribe(quiet)
	defer g.Subscribe(one)()
	if p.Lend(src) || g.Lent() || g.Drawn() {
		t.Error("lent though not every pass draws")
	}
	leave()
	if !g.Drawn() || !p.Lend(src) || !g.Lent() {
		t.Fatal("not lent though every pass draws")
	}
	if one.rung == 0 {
		t.Error("no pass was called for")
	}
	g.Draw()
	if src.draws != 1 || g.Ring().Tail() != 2 {
		t.Errorf("drawn %d times, %d packets", src.draws, g.Ring().Tail()-1)
	}
	leaveTwo := g.Subscribe(two)
	if two.rung == 0 || src.reclaims != 0 {
		t.Errorf("who comes later was woken %d times; asked back %d times", two.rung, src.reclaims)
	}
	leaveTwo()
	leave = g.Subscribe(quiet)
	if src.reclaims != 1 {
		t.Errorf("asked back %d times when somebody came who does not draw", src.reclaims)
	}
	p.Unlend()
	if g.Draw(); src.draws != 1 || g.Lent() {
		t.Error("drawn from though it is not lent")
	}
	leave()
}

// Drawing costs nothing where nothing is lent, and allocates nothing.
func TestDrawAllocatesNothing(t *testing.T) {
	g := newStage(t)
	if n := testing.AllocsPerRun(100, func() { g.Draw() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
