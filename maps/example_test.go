package maps_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/skepvm/skep/maps"
)

func ExampleNewTyped() {
	type Key struct {
		Addr [4]byte
		Port uint16
		_    [2]byte
	}
	type Stats struct{ Packets, Bytes uint64 }

	m, err := maps.New(&maps.Spec{Name: "flows", Type: maps.Hash, KeySize: 8, ValueSize: 16, MaxEntries: 100})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	flows, err := maps.NewTyped[Key, Stats](m) // of a collection: coll.Map("flows")
	if err != nil {
		log.Fatal(err)
	}
	web := Key{Addr: [4]byte{192, 0, 2, 1}, Port: 443}
	if err := flows.Update(web, Stats{Packets: 1, Bytes: 60}, maps.NoExist); err != nil {
		log.Fatal(err)
	}
	fmt.Println(flows.Update(web, Stats{}, maps.NoExist))
	for key, stats := range flows.Iterate().All() {
		fmt.Println(key.Addr, key.Port, stats.Bytes)
	}
	_, err = flows.Lookup(Key{Port: 80})
	fmt.Println(errors.Is(err, maps.ErrKeyNotExist))
	// Output:
	// EEXIST
	// [192 0 2 1] 443 60
	// true
}

func ExampleRingBufReader() {
	m, err := maps.New(&maps.Spec{Name: "events", Type: maps.RingBuf, MaxEntries: 4096})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	events, err := maps.NewRingBufReader(m)
	if err != nil {
		log.Fatal(err)
	}
	defer events.Close()

	for i := range uint32(2) { // what bpf_ringbuf_output does
		m.(maps.RingBuffer).Output(binary.NativeEndian.AppendUint32(nil, i), 0)
	}
	var r maps.Record // whose memory is used again
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		err := events.ReadInto(ctx, &r)
		cancel()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(binary.NativeEndian.Uint32(r.Data))
	}
	// Output:
	// 0
	// 1
	// context deadline exceeded
}
