package emit

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// The forms of a made-up instruction set: a long jump is 'J' and four bytes of
// distance, a short one 'j' and one; padding is dots.
const (
	long FormID = iota
	short
)

var testForms = []Form{
	long: {Name: "long", Size: 5, From: 5, Min: math.MinInt32, Max: math.MaxInt32, Short: short,
		Shrink: func(dst, _ []byte) { dst[0] = 'j' },
		Patch: func(code []byte, d int32) {
			code[1], code[2], code[3], code[4] = byte(d), byte(d>>8), byte(d>>16), byte(d>>24)
		}},
	short: {Name: "short", Size: 2, From: 2, Min: -4, Max: 3, Patch: func(code []byte, d int32) { code[1] = byte(d) }},
}

func newTest() *Buffer {
	return NewBuffer(testForms, func(p []byte) {
		for i := range p {
			p[i] = '.'
		}
	})
}

func jump(b *Buffer, f FormID, l Label) {
	if f == long {
		b.Put('J', 5)
	} else {
		b.Put('j', 2)
	}
	b.Ref(f, l)
}

// loop writes before bytes, then a loop of body bytes and a jump back, aligned to
// 8 with an end that is far bytes farther.
func loop(b *Buffer, before, body, far int) {
	b.PutBytes(bytes.Repeat([]byte("a"), before))
	head, near, end := b.NewLabel(), b.NewLabel(), b.NewLabel()
	b.AlignLoop(8, 1, near, end)
	b.Bind(head)
	b.PutBytes(bytes.Repeat([]byte("b"), body-1))
	b.PutBytes([]byte("c"))
	jump(b, long, head)
	b.Bind(near)
	b.PutBytes(bytes.Repeat([]byte("d"), far))
	b.Bind(end)
}

func TestFinish(t *testing.T) {
	for _, tc := range []struct {
		name string
		emit func(b *Buffer)
		want string
	}{
		{"nothing", func(b *Buffer) {}, ""},
		{"forward, near", func(b *Buffer) {
			l := b.NewLabel()
			jump(b, long, l)
			b.PutBytes([]byte("abc"))
			b.Bind(l)
			b.Put('e', 1)
		}, "j\x03abce"},
		{"forward, far", func(b *Buffer) {
			l := b.NewLabel()
			jump(b, long, l)
			b.PutBytes([]byte("abcd"))
			b.Bind(l)
		}, "J\x04\x00\x00\x00abcd"},
		{"backward, near", func(b *Buffer) {
			l := b.NewLabel()
			b.Bind(l)
			b.PutBytes([]byte("ab"))
			jump(b, long, l)
		}, "abj\xfc"},
		{"backward, far", func(b *Buffer) {
			l := b.NewLabel()
			b.Bind(l)
			b.PutBytes([]byte("abc"))
			jump(b, long, l)
		}, "abcJ\xf8\xff\xff\xff"},
		{"over a shortened jump", func(b *Buffer) {
			l := b.NewLabel()
			b.Bind(l)
			end := b.NewLabel()
			jump(b, long, end)
			b.Bind(end)
			jump(b, long, l)
		}, "j\x00J\xf9\xff\xff\xff"}, // one pass: the draft has the first jump at its longest
		{"padding", func(b *Buffer) {
			b.Put('a', 1)
			b.Align(4, 1)
			b.Put('b', 1)
			b.Align(4, 1)
			b.Align(4, 1)
			b.Put('c', 1)
		}, "a...b...c"},
		{"a loop that needs no padding", func(b *Buffer) { loop(b, 1, 2, 0) }, "abcj\xfc"},
		{"a loop that would straddle", func(b *Buffer) { loop(b, 5, 2, 0) }, "aaaaa...bcj\xfc"},
		{"a loop that is shortened", func(b *Buffer) { loop(b, 4, 2, 0) }, "aaaabcj\xfc"}, // of 4 bytes; the draft has 7
		{"a loop that is too long", func(b *Buffer) { loop(b, 1, 9, 0) }, "a.......bbbbbbbbcJ\xf2\xff\xff\xff"},
		{"a loop whose far end would straddle", func(b *Buffer) { loop(b, 2, 2, 3) }, "aa......bcj\xfcddd"},
		{"a loop whose far end is too far", func(b *Buffer) { loop(b, 2, 2, 5) }, "aabcj\xfcddddd"},
		{"label before and after padding", func(b *Buffer) {
			before, after := b.NewLabel(), b.NewLabel()
			jump(b, short, before)
			b.Bind(before)
			b.Align(4, 1)
			b.Bind(after)
			jump(b, short, after)
		}, "j\x00..j\xfe"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newTest()
			for range 2 { // Reset leaves nothing behind
				b.Reset()
				tc.emit(b)
				got, err := b.Finish()
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != tc.want {
					t.Fatalf("got %q, want %q", got, tc.want)
				}
				if int(b.Len()) != len(tc.want) {
					t.Fatalf("Len is %d, want %d", b.Len(), len(tc.want))
				}
			}
		})
	}
}

func TestFinishErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		emit func(b *Buffer)
		want string
	}{
		{"not bound", func(b *Buffer) { jump(b, long, b.NewLabel()) }, "label 0, used at offset 0, is not bound"},
		{"too far", func(b *Buffer) {
			l := b.NewLabel()
			jump(b, short, l)
			b.PutBytes(make([]byte, 4))
			b.Bind(l)
		}, "short at offset 0: distance 4 to label 0; the form reaches -4 to 3"},
		{"too far back", func(b *Buffer) {
			l := b.NewLabel()
			b.Bind(l)
			b.PutBytes(make([]byte, 3))
			jump(b, short, l)
		}, "distance -5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newTest()
			tc.emit(b)
			if _, err := b.Finish(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestBoundTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	b := newTest()
	l := b.NewLabels(3)
	b.Bind(l)
	b.Bind(l)
}

func TestGrow(t *testing.T) {
	b := newTest()
	var want []byte
	for i := range 10000 {
		b.Put(uint64(i), 3)
		want = append(want, byte(i), byte(i>>8), 0)
	}
	b.PutBytes(make([]byte, 100000))
	want = append(want, make([]byte, 100000)...)
	got, err := b.Finish()
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestPCMap(t *testing.T) {
	b := newTest()
	b.PutBytes([]byte("pro"))
	b.Mark(7) // no code
	b.Mark(8)
	l := b.NewLabel()
	jump(b, long, l) // shrinks to 2
	b.Mark(3)
	b.Bind(l)
	b.Align(4, 1) // 3+2, so 3 bytes of padding
	b.Mark(9)
	b.Put('x', 1)
	if _, err := b.Finish(); err != nil {
		t.Fatal(err)
	}
	m := b.PCMap()
	b.Reset() // m does not alias it
	b.Mark(100)
	for off, want := range map[Off]PC{3: 8, 4: 8, 5: 3, 7: 3, 8: 9} {
		if pc, ok := m.PC(off); !ok || pc != want {
			t.Errorf("PC(%d) = %d, %v; want %d", off, pc, ok, want)
		}
	}
	for _, off := range []Off{-1, 0, 2, 9, 100} {
		if pc, ok := m.PC(off); ok {
			t.Errorf("PC(%d) = %d, want none", off, pc)
		}
	}
	var got []PC
	var at Off = 3
	m.All(func(start, end Off, pc PC) bool {
		if start != at || end <= start {
			t.Errorf("stretch %d to %d, want a start of %d", start, end, at)
		}
		at = end
		got = append(got, pc)
		return true
	})
	if len(got) != 3 || got[0] != 8 || got[1] != 3 || got[2] != 9 || at != 9 {
		t.Errorf("stretches %v up to %d", got, at)
	}
	if _, ok := (PCMap{}).PC(0); ok {
		t.Error("the zero map knows a place")
	}
}
