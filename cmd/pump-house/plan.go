package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/stream-pump/stream-pump/house"
	"github.com/stream-pump/stream-pump/house/roster"
	"github.com/stream-pump/stream-pump/internal/cli"
)

func planCommand() *cli.Command {
	file := usualFile
	return &cli.Command{
		Name: "plan", Args: "NEW-ROSTER", What: "say what a roster file would do to the viewers of now, without putting it in force",
		Example: "pump-house plan new-pumps.json",
		Flags:   func(fs *flag.FlagSet) { configFlag(fs, &file) },
		Run: func(p *cli.Program, args []string) error {
			if len(args) != 1 {
				return cli.WrongUsage("wants a roster file, as in: pump-house plan new-pumps.json")
			}
			text, err := readRoster(args[0])
			if err != nil {
				return err
			}
			return withDesk(p, file, func(ctx context.Context, d house.Desk) error {
				plan, err := d.Plan(ctx, args[0], text)
				if err != nil {
					return err
				}
				return printPlan(p.Out, args[0], plan)
			})
		},
	}
}

// printPlan writes a plan for people: what changes, then whom it concerns.
func printPlan(out io.Writer, name string, plan *roster.Plan) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) } // Flush tells of an error
	if len(plan.Pumps) == 0 {
		line("No pump changes.")
	}
	for _, c := range plan.Pumps {
		line("pump %s\t%s", c.ID, c.What)
	}
	line("\nOf %s now, with %s:\n", count(plan.Viewers), name)
	line("%d\tstay where they are", plan.Stay)
	for _, m := range plan.Moves {
		line("%d\t%s → %s\t%s", m.Viewers, m.From, m.To, when(m.AtOnce))
	}
	for _, r := range plan.Refused {
		line("%d\t%s → nowhere\t%s: %s", r.Viewers, r.From, when(r.AtOnce), r.Why)
	}
	for _, u := range plan.Unmet {
		line("\nIt is not as expected: %s", u)
	}
	if plan.Expected > 0 {
		line("\n%d of %d expectations are met.", plan.Expected-len(plan.Unmet), plan.Expected)
	}
	return t.Flush()
}

func count(viewers int) string {
	if viewers == 1 {
		return "the viewer of"
	}
	return fmt.Sprintf("the %d viewers of", viewers)
}

func when(atOnce bool) string {
	if atOnce {
		return "at once"
	}
	return "when they come again"
}
