// Package spin holds programs that never end, each in another way, and measures how
// long they hold up those who want something: a stop of the world, and whoever
// cancels the run.
package spin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// A Lab has what the programs use.
type Lab struct {
	specs []*maps.Spec
	maps  map[string]maps.Map
}

// NewLab returns a lab whose maps have so many entries, up to a million. The caller
// closes it.
func NewLab(entries uint32) (*Lab, error) {
	l := &Lab{maps: map[string]maps.Map{}, specs: []*maps.Spec{
		{Name: "large", Type: maps.Array, KeySize: 4, ValueSize: largeValue, MaxEntries: 1},
		{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: entries},
		{Name: "hash", Type: maps.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 2 * entries},
		{Name: "trie", Type: maps.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: entries, Flags: maps.NoPrealloc},
		{Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Name: "ring", Type: maps.RingBuf, MaxEntries: 1 << 24},
		{Name: "user", Type: maps.UserRingBuf, MaxEntries: 1 << 18},
		{Name: "value", Type: maps.Array, KeySize: 4, ValueSize: kernelValue, MaxEntries: 1},
	}}
	for _, s := range l.specs {
		if s.Name == "progs" {
			continue // each program has its own
		}
		m, err := maps.New(s)
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("map %s: %w", s.Name, err)
		}
		l.maps[s.Name] = m
	}
	var key [8]byte
	for i := range entries {
		binary.LittleEndian.PutUint64(key[:], uint64(i))
		if err := l.maps["hash"].Update(key[:], key[:], maps.Any); err != nil {
			l.Close()
			return nil, err
		}
		binary.LittleEndian.PutUint32(key[:4], 16+i%17)
		binary.BigEndian.PutUint32(key[4:], rand.Uint32())
		if err := l.maps["trie"].Update(key[:], make([]byte, 8), maps.Any); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

// Close gives back the maps.
func (l *Lab) Close() {
	for _, m := range l.maps {
		m.Close()
	}
}

// fill gives the user's ring buffer records, as many as it takes.
func (l *Lab) fill() error {
	p, err := maps.NewUserRingBufProducer(l.maps["user"])
	if err != nil {
		return err
	}
	for {
		b, err := p.Reserve(56)
		if err != nil {
			return nil // it is full
		}
		if err := p.Submit(b); err != nil {
			return err
		}
	}
}

// Load returns p in engine e. The caller closes the collection.
func (l *Lab) Load(p Program, e vm.Engine) (*vm.Collection, error) {
	insns, err := prog.Assemble(p.Text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	o := vm.Options{Engine: e, MaxInsns: -1, Maps: l.maps, Helpers: map[helpers.ID]*helpers.Func{}}
	o.Rules.AllowUnbounded = true
	for i, name := range []string{"memset", "memcpy", "memcmp"} {
		o.Helpers[helpers.ID(1000+i)] = helpers.Builtin(name)
	}
	linked, err := prog.FromInsns("p", linux.XDP, insns, l.specs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	c, err := vm.LoadProgram(linked, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	if err := c.Map("progs").(maps.ProgramArray).Store(0, c.Program("p")); err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return c, nil
}

// patience is how long a run may go on that was cancelled.
const patience = time.Minute

// Held says for how long a program held up others.
type Held struct {
	From   time.Time     // when the world was to stop, and after that the run to end
	Stop   time.Duration // until the world had stopped
	Cancel time.Duration // until the run had returned after it was cancelled
}

// Trial runs the program of c until it is cancelled, and returns how long it held up
// a stop of the world before that, and how long it went on afterwards.
func (l *Lab) Trial(c *vm.Collection) (Held, error) {
	if err := l.fill(); err != nil {
		return Held{}, err
	}
	return trial(func(ctx context.Context) error {
		_, err := c.Program("p").RunContext(ctx, make([]byte, 64))
		return err
	})
}

// TrialGo is Trial of a loop in Go, which holds up nobody: what it returns is what
// the host takes.
func TrialGo() (Held, error) {
	return trial(func(ctx context.Context) error {
		for ctx.Err() == nil {
		}
		return context.Cause(ctx)
	})
}

func trial(run func(context.Context) error) (Held, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	begins := make(chan struct{})
	type end struct {
		at  time.Time
		err error
	}
	ends := make(chan end, 1)
	go func() {
		close(begins)
		err := run(ctx)
		ends <- end{time.Now(), err}
	}()
	<-begins
	for wait := time.Now().Add(time.Duration(rand.IntN(200_000))); time.Now().Before(wait); {
		runtime.Gosched()
	}
	var m runtime.MemStats
	h := Held{From: time.Now()}
	runtime.ReadMemStats(&m) // stops the world
	h.Stop = time.Since(h.From)
	start := time.Now()
	cancel()
	select {
	case e := <-ends:
		if !errors.Is(e.err, context.Canceled) {
			return Held{}, fmt.Errorf("the run ended with %w", e.err)
		}
		h.Cancel = e.at.Sub(start)
		return h, nil
	case <-time.After(patience):
		return Held{}, fmt.Errorf("the run did not end within %v after it was cancelled", patience)
	}
}

// A Distribution is of durations.
type Distribution []time.Duration

// At returns the duration that the share q of all are below; 0 if there is none.
func (d Distribution) At(q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

// Max returns the longest; 0 if there is none.
func (d Distribution) Max() time.Duration {
	if len(d) == 0 {
		return 0
	}
	return slices.Max(d)
}
