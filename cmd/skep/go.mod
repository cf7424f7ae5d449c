module github.com/skepvm/skep/cmd/skep

go 1.25.0

require (
	github.com/cilium/ebpf v0.22.0
	github.com/google/go-cmp v0.7.0
	github.com/google/pprof v0.0.0-20250403155104-27863c87afa6
	github.com/gopacket/gopacket v1.6.1
	github.com/skepvm/skep v0.0.0
	github.com/spf13/cobra v1.10.2
	golang.org/x/arch v0.24.0
	golang.org/x/term v0.42.0
)

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/spf13/pflag v1.0.10 // indirect
	golang.org/x/net v0.48.0 // indirect
	golang.org/x/sys v0.43.0 // indirect
)
