// Command http-filter is an HTTP server whose requests are filtered by an eBPF
// program, which can be replaced while it serves:
//
//	go run ./examples/http-filter -listen localhost:8080 -control localhost:8081
//	curl -i localhost:8080/admin/users
//	curl -T examples/http-filter/limit.o localhost:8081/filter
//
// The hook point is its own: request.go defines what programs see of a request,
// and go generate writes the header that they include.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

//go:generate go run . -header request.h -describe request.json

//go:embed paths.o
var pathsObject []byte

// maxObject bounds what the control server accepts.
const maxObject = 4 << 20

func main() {
	listen := flag.String("listen", "localhost:8080", "serve on `ADDRESS`")
	control := flag.String("control", "localhost:8081", "take new filters on `ADDRESS`; whoever reaches it decides about requests")
	header := flag.String("header", "", "write the C header for filters to `FILE` and exit")
	describe := flag.String("describe", "", "write the hook's description for skep --hook to `FILE` and exit")
	flag.Parse()
	if *header != "" || *describe != "" {
		if err := generate(*header, *describe); err != nil {
			log.Fatal(err)
		}
		return
	}
	filter := NewFilter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s\n", r.URL.Path)
	}))
	if err := filter.Load(pathsObject); err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.ListenAndServe(*control, controlHandler(filter))) }()
	log.Printf("serving on %s, taking filters on %s", *listen, *control)
	log.Fatal(http.ListenAndServe(*listen, filter))
}

// controlHandler replaces the filter by the body of PUT /filter.
func controlHandler(f *Filter) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /filter", func(w http.ResponseWriter, r *http.Request) {
		object, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxObject))
		if err == nil {
			err = f.Load(object)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// generate writes what filters and tools need to know of the hook.
func generate(header, describe string) error {
	if header != "" {
		f, err := os.Create(header)
		if err != nil {
			return err
		}
		if err := requestHook.WriteHeader(f); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if describe != "" {
		b, err := requestHook.Describe()
		if err != nil {
			return err
		}
		return os.WriteFile(describe, b, 0o666)
	}
	return nil
}
