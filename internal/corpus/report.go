package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// kernelLoads says whether the kernel loads the program: today, if it was
// asked, else when the table was made. known is false if it could not be asked
// either time.
func (res *result) kernelLoads() (loads, known bool) {
	if res.kernel.asked {
		return res.kernel.loads, true
	}
	return res.row.kernel == "LOADS", res.row.kernel == "LOADS" || res.row.kernel == "REJECTED"
}

// both returns the results that both accepted in this run, and were timed.
func (c *campaign) both() []*result {
	var list []*result
	for _, r := range c.results {
		if r.verdict == accepts && r.kernel.loads && r.kernel.took > 0 {
			list = append(list, r)
		}
	}
	return list
}

func (res *result) ratio() float64 { return float64(res.stats.Time) / float64(res.kernel.took) }

// report prints what the campaign found.
func (c *campaign) report(w io.Writer) {
	c.reportVerdicts(w)
	c.reportCost(w)
	c.reportRefusals(w)
}

func (c *campaign) reportVerdicts(w io.Writer) {
	counts := map[[3]string]int{}
	var keys [][3]string
	wanted, accepted := map[string]int{}, map[string]int{}
	for _, r := range c.results {
		k := [3]string{r.row.kernel, r.row.prevail, string(r.verdict)}
		if counts[k]++; counts[k] == 1 {
			keys = append(keys, k)
		}
		if r.row.wanted() {
			wanted[r.row.kernel]++
			if r.verdict == accepts {
				accepted[r.row.kernel]++
			}
		}
	}
	fmt.Fprintf(w, "%d programs; of the kernel and PREVAIL, the verdicts of the table\n\n", len(c.results))
	slices.SortFunc(keys, func(a, b [3]string) int { return slices.Compare(a[:], b[:]) })
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "kernel\tPREVAIL\tskep\tprograms")
	for _, k := range keys {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", k[0], k[1], k[2], counts[k])
	}
	t.Flush()
	fmt.Fprintf(w, "\naccepted: %d of %d that the kernel loads, %d of %d that PREVAIL passes where the kernel could not be asked: %.1f%%\n",
		accepted["LOADS"], wanted["LOADS"], accepted["CANNOT"], wanted["CANNOT"],
		100*float64(accepted["LOADS"]+accepted["CANNOT"])/float64(max(1, wanted["LOADS"]+wanted["CANNOT"])))
	var loads, refusals, unasked int
	why := map[string]int{}
	for _, r := range c.results {
		switch {
		case r.kernel.loads:
			loads++
		case r.kernel.asked:
			refusals++
		case r.kernel.err != "":
			unasked++
			why[r.kernel.err]++
		}
	}
	if c.o.kernel {
		fmt.Fprintf(w, "asked in this run, the kernel loads %d and refuses %d; %d it cannot be asked:", loads, refusals, unasked)
		for _, k := range slices.Sorted(keysOf(why)) {
			fmt.Fprintf(w, " %s (%d);", k, why[k])
		}
		fmt.Fprintln(w)
	}
}

func keysOf(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// worstRatios is how many programs are printed for which skep takes longest
// beside the kernel.
const worstRatios = 12

func (c *campaign) reportCost(w io.Writer) {
	var all, first time.Duration
	var peak int64
	largest := c.results[0]
	for _, r := range c.results {
		all += r.stats.Time
		first += r.first
		peak = max(peak, r.stats.Bytes)
		if r.stats.Time > largest.stats.Time {
			largest = r
		}
	}
	fmt.Fprintf(w, "\nskep: %v for all, fastest of %d rounds each; %v in the first round; longest %v, %s (%d slots)\n",
		round(all), c.o.rounds, round(first), round(largest.stats.Time), largest.row.name(), largest.slots)
	fmt.Fprintf(w, "memory: peak RSS of this process %s, kernel oracle included; states of one proof %.1f MB at most\n", rss(), float64(peak)/1e6)
	both := c.both()
	if len(both) == 0 {
		return
	}
	var ours, theirs, prevail time.Duration
	for _, r := range both {
		ours += r.stats.Time
		theirs += r.kernel.took
		prevail += r.row.prevailTime
	}
	slices.SortFunc(both, func(a, b *result) int { return int(1e6 * (a.ratio() - b.ratio())) })
	at := func(q float64) float64 { return both[int(q*float64(len(both)-1))].ratio() }
	fmt.Fprintf(w, "beside the kernel, %d programs that both accept, same instructions, verification time of its log: %v to %v, ratio %.3f\n",
		len(both), round(ours), round(theirs), float64(ours)/float64(theirs))
	fmt.Fprintf(w, "ratio by program: median %.2f, p90 %.2f, p99 %.2f, largest %.2f\n", at(0.5), at(0.9), at(0.99), at(1))
	fmt.Fprintf(w, "PREVAIL took %v for these when the table was made: ratio 1/%.0f\n", round(prevail), float64(prevail)/float64(ours))
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\nratio\tskep\tkernel\tvisits\tprocessed\tslots\tslowest beside the kernel")
	for _, r := range slices.Backward(both[max(0, len(both)-worstRatios):]) {
		fmt.Fprintf(t, "%.2f\t%v\t%v\t%d\t%d\t%d\t%s\n", r.ratio(), round(r.stats.Time), r.kernel.took, r.stats.Visits, r.kernel.insns, r.slots, r.row.name())
	}
	t.Flush()
}

func round(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d.Round(100 * time.Nanosecond)
	}
	return d.Round(10 * time.Microsecond)
}

// rss returns the largest resident set of this process so far.
func rss() string {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err == nil {
				return fmt.Sprintf("%.0f MB", float64(kb)*1024/1e6)
			}
		}
	}
	return "unknown"
}

func (c *campaign) reportRefusals(w io.Writer) {
	head := false
	for _, r := range c.results {
		if !r.row.wanted() || r.verdict == accepts {
			continue
		}
		if !head {
			head = true
			fmt.Fprintln(w, "\nrefused, though to be accepted:")
		}
		reason := "UNEXPLAINED: " + r.why
		if e := c.ledger.explain(skepRefuses, r.row); e != nil {
			reason = e.class + ": " + e.reason
		}
		fmt.Fprintf(w, "  %s: %s\n", r.row.name(), reason)
	}
	head = false
	for _, r := range c.results {
		loads, known := r.kernelLoads()
		if r.verdict != accepts || loads || !known {
			continue
		}
		if !head {
			head = true
			fmt.Fprintln(w, "\naccepted, though the kernel refuses:")
		}
		reason := "UNEXPLAINED: " + r.kernel.err
		if e := c.ledger.explain(kernelRefuses, r.row); e != nil {
			reason = e.class + ": " + e.reason
		}
		fmt.Fprintf(w, "  %s (PREVAIL: %s): %s\n", r.row.name(), r.row.prevail, reason)
	}
}

// judge returns what of the results is wrong.
func (c *campaign) judge() error {
	var errs []error
	for _, r := range c.results {
		loads, known := r.kernelLoads()
		switch {
		case r.verdict == accepts && known && !loads && r.row.prevail != "PASS":
			errs = append(errs, fmt.Errorf("%s: accepted, though the kernel (%s) and PREVAIL refuse it", r.row.name(), r.kernel.err))
		case r.verdict == accepts && r.kernel.asked && !loads && c.ledger.explain(kernelRefuses, r.row) == nil:
			errs = append(errs, fmt.Errorf("%s: accepted, though the kernel refuses (%s): the ledger has no reason", r.row.name(), r.kernel.err))
		case r.verdict != accepts && r.row.wanted() && c.ledger.explain(skepRefuses, r.row) == nil:
			errs = append(errs, fmt.Errorf("%s: refused (%s): the ledger has no reason", r.row.name(), r.why))
		}
	}
	if c.o.only == "" && c.o.kernel {
		for _, e := range c.ledger.order {
			if !e.used {
				errs = append(errs, fmt.Errorf("%s: the ledger says %s, which is no longer so", e.program, e.side))
			}
		}
	}
	return errors.Join(errs...)
}

// writeRows writes one line per program.
func (c *campaign) writeRows(name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "program\tverdict\tcode\tslots\tvisits\tstates\tpeak_bytes\ttime_ns\tworst_case\tkernel\tkernel_insns\tkernel_ns\tmessage\tkernel_message")
	for _, r := range c.results {
		says := "cannot"
		switch {
		case r.kernel.loads:
			says = "loads"
		case r.kernel.asked:
			says = "refuses"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%d\t%s\t%s\n", r.row.name(), r.verdict, r.code, r.slots, r.stats.Visits,
			r.stats.States, r.stats.Bytes, r.stats.Time.Nanoseconds(), r.stats.WorstCase, says, r.kernel.insns, r.kernel.took.Nanoseconds(), r.why, r.kernel.err)
	}
	return w.Flush()
}
