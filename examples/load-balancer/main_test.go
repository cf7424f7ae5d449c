package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun checks what is printed for the committed capture.
func TestRun(t *testing.T) {
	for _, tc := range []struct {
		name  string
		o     options
		wants []string
	}{
		{"text", options{}, []string{
			"OUTCOME                   PACKETS      BYTES\npassed                         21       1337\nforwarded                     439      50360\n",
			"\n192.0.2.10:443/udp, 25 connections began\n",
			"\n10.0.0.53                      21       1155    87.5%\n",
		}},
		{"events", options{events: true}, []string{
			"open       198.51.100.12:2222 to 192.0.2.10:443/tcp: 10.0.0.",
			"close      198.51.100.12:2222 to 192.0.2.10:443/tcp: 10.0.0.",
			"no backend 198.51.100.12:2222 to 192.0.2.30:25/tcp: no backend, 40 bytes\n",
			"too big    [2001:db8:c::a]:40000 to [2001:db8::10]:443/tcp: fd00::",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			tc.o.config = configFile
			if err := run(&out, tc.o, trafficFile); err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.wants {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is missing in:\n%s", want, out.String())
				}
			}
		})
	}
}

// TestRunJSON reads what is printed back.
func TestRunJSON(t *testing.T) {
	var out strings.Builder
	if err := run(&out, options{config: configFile, json: true}, trafficFile); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var r Report
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatal(err)
	}
	if r.Outcomes["forwarded"].Packets != 439 || len(r.Services) != 7 || r.LostEvents != 0 {
		t.Errorf("got %+v", r)
	}
	kinds := map[string]int{}
	for _, line := range lines[:len(lines)-1] {
		var e struct{ Event, Client, Service, Backend string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		kinds[e.Event]++
	}
	if kinds["open"] == 0 || kinds["close"] == 0 || kinds["no backend"] != 1 || kinds["too big"] != 4 {
		t.Errorf("events: %v", kinds)
	}
}

// TestWrite reads the capture back that a run writes.
func TestWrite(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.pcap")
	if err := run(&strings.Builder{}, options{config: configFile, write: name}, trafficFile); err != nil {
		t.Fatal(err)
	}
	sent, err := readPcap(name)
	if err != nil {
		t.Fatal(err)
	}
	came, want := traffic()
	i := 0
	for n, f := range came {
		if want[n] != Forwarded && want[n] != Answered && want[n] != TooBig {
			continue
		}
		if !sent[i].time.Equal(f.time) {
			t.Fatalf("packet %d was sent at %v, and came at %v", i, sent[i].time, f.time)
		}
		if want[n] == Forwarded && len(sent[i].data) <= len(f.data) {
			t.Errorf("packet %d has no outer header", i)
		}
		i++
	}
	if i != len(sent) {
		t.Errorf("%d packets were sent, want %d", len(sent), i)
	}
}

// TestBadFiles are configurations and captures that are refused.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	for name, config := range map[string]string{
		"no JSON":         "gateway",
		"unknown field":   `{"gateway": "02:00:00:00:00:fe", "vips": []}`,
		"no gateway":      `{}`,
		"long gateway":    `{"gateway": "02:00:00:00:00:fe:00:01"}`,
		"bad timeout":     `{"gateway": "02:00:00:00:00:fe", "udp_timeout": "soon"}`,
		"bad protocol":    `{"gateway": "02:00:00:00:00:fe", "services": [{"address": "192.0.2.1", "protocol": "sctp"}]}`,
		"service twice":   `{"gateway": "02:00:00:00:00:fe", "services": [{"address": "192.0.2.1", "protocol": "tcp"}, {"address": "192.0.2.1", "protocol": "tcp"}]}`,
		"backend too old": `{"gateway": "02:00:00:00:00:fe", "services": [{"address": "2001:db8::1", "protocol": "tcp", "backends": [{"address": "10.0.0.1", "weight": 1}]}]}`,
	} {
		file := filepath.Join(dir, "config.json")
		if err := os.WriteFile(file, []byte(config), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := run(&strings.Builder{}, options{config: file}, trafficFile); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	good, err := os.ReadFile(trafficFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, capture := range map[string]string{
		"empty":                 "",
		"no pcap":               strings.Repeat("x", 100),
		"cut off":               string(good[:len(good)-1]),
		"cut short":             string(good[:24+10]),
		"no frames of Ethernet": string(good[:20]) + "\x65\x00\x00\x00",
	} {
		file := filepath.Join(dir, "capture.pcap")
		if err := os.WriteFile(file, []byte(capture), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := run(&strings.Builder{}, options{config: configFile}, file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
