package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newFilter(t *testing.T, object []byte) *Filter {
	t.Helper()
	f := NewFilter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello from "+r.URL.Path)
	}))
	if object != nil {
		if err := f.Load(object); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// serve asks f as a client at address would.
func serve(f *Filter, method, path, address string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = address
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

const (
	stranger = "203.0.113.9:4000"
	insider  = "192.168.1.20:4000"
)

func TestPaths(t *testing.T) {
	f := newFilter(t, pathsObject)
	for _, tc := range []struct {
		method, path, client string
		code                 int
	}{
		{"GET", "/", stranger, 200},
		{"HEAD", "/index.html", stranger, 200},
		{"POST", "/form", stranger, 200},
		{"PUT", "/", stranger, 405},
		{"PROPFIND", "/", insider, 405},
		{"GET", "/admin", stranger, 404},
		{"GET", "/admin/users", stranger, 404},
		{"GET", "/%61dmin/users", stranger, 404},
		{"GET", "/administrators", stranger, 200},
		{"GET", "/adm", stranger, 200},
		{"GET", "/admin/users", insider, 200},
		{"GET", "/admin/users", "[::1]:80", 200},
		{"GET", "/admin/users", "[2001:db8::1]:80", 404},
		{"GET", "/admin/users", "unknown", 404},
	} {
		t.Run(tc.method+tc.path+" "+tc.client, func(t *testing.T) {
			w := serve(f, tc.method, tc.path, tc.client)
			if w.Code != tc.code {
				t.Errorf("got %d, want %d", w.Code, tc.code)
			}
			if passed := strings.HasPrefix(w.Body.String(), "hello from"); passed != (tc.code == 200) {
				t.Errorf("got %q", w.Body)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	f := newFilter(t, read(t, "limit.o"))
	for i, want := range []int{200, 200, 200, 200, 200, 429} {
		if w := serve(f, "GET", "/", stranger); w.Code != want {
			t.Errorf("request %d: got %d, want %d", i, w.Code, want)
		}
	}
	if w := serve(f, "GET", "/", insider); w.Code != 200 {
		t.Errorf("another client: got %d", w.Code)
	}
}

// TestSwap replaces the filter while clients ask it: no request fails, and
// every answer is one of the two filters'.
func TestSwap(t *testing.T) {
	limit := read(t, "limit.o")
	f := newFilter(t, pathsObject)
	server := httptest.NewServer(f)
	defer server.Close()
	control := httptest.NewServer(controlHandler(f))
	defer control.Close()

	var stop atomic.Bool
	var wg sync.WaitGroup
	var answers [600]atomic.Int64
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !stop.Load() {
				r, err := http.NewRequest("DELETE", server.URL+"/x", nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				answers[resp.StatusCode].Add(1)
			}
		}()
	}
	put := func(object []byte) (code int) {
		t.Helper()
		r, err := http.NewRequest("PUT", control.URL+"/filter", bytes.NewReader(object))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for i := range 60 {
		object := limit
		if i%2 == 1 {
			object = pathsObject
		}
		if code := put(object); code != http.StatusNoContent {
			t.Fatalf("PUT: %d", code)
		}
	}
	stop.Store(true)
	wg.Wait()
	for code := range answers {
		if n := answers[code].Load(); n > 0 && code != 405 && code != 429 && code != 200 {
			t.Errorf("%d answers %d", n, code)
		}
	}
	if answers[405].Load() == 0 || answers[200].Load() == 0 {
		t.Error("one of the filters was never asked")
	}
}

// TestBadObject checks that what cannot be loaded leaves the filter as it was.
func TestBadObject(t *testing.T) {
	f := newFilter(t, pathsObject)
	for name, object := range map[string][]byte{
		"empty":     nil,
		"no ELF":    []byte("hello"),
		"truncated": pathsObject[:len(pathsObject)/2],
		"XDP":       read(t, "../xdp-firewall/filter.o"),
	} {
		if err := f.Load(object); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
	if w := serve(f, "GET", "/admin", stranger); w.Code != 404 {
		t.Errorf("got %d: the filter has changed", w.Code)
	}
	none := newFilter(t, nil)
	if w := serve(none, "DELETE", "/admin", stranger); w.Code != 200 {
		t.Errorf("without a filter: got %d", w.Code)
	}
}

// TestGenerated checks that the header and the description are those of the
// hook.
func TestGenerated(t *testing.T) {
	dir := t.TempDir()
	if err := generate(dir+"/h", dir+"/json"); err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{"h": "request.h", "json": "request.json"} {
		if !bytes.Equal(read(t, dir+"/"+got), read(t, want)) {
			t.Errorf("%s is not up to date; run go generate", want)
		}
	}
}
