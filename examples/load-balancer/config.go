package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// A config is the file that says what is balanced.
type config struct {
	Gateway     string          `json:"gateway"`
	MTU         uint16          `json:"mtu"`
	UDPTimeout  string          `json:"udp_timeout"`
	FloodLimit  uint64          `json:"flood_limit"`
	Connections uint32          `json:"connections"`
	Services    []serviceConfig `json:"services"`
}

type serviceConfig struct {
	Address  netip.Addr `json:"address"`
	Port     uint16     `json:"port"` // 0, or left out: all
	Protocol string     `json:"protocol"`
	NoTable  bool       `json:"no_table"`
	NoPorts  bool       `json:"no_ports"`
	Backends []struct {
		Address netip.Addr `json:"address"`
		Weight  uint32     `json:"weight"`
	} `json:"backends"`
}

// readConfig reads a config file.
func readConfig(name string) (s Settings, vips []VIP, err error) {
	f, err := os.Open(name)
	if err != nil {
		return s, nil, err
	}
	defer f.Close()
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	var c config
	if err := dec.Decode(&c); err != nil {
		return s, nil, fmt.Errorf("%s: %w", name, err)
	}
	if s, err = c.settings(); err != nil {
		return s, nil, fmt.Errorf("%s: %w", name, err)
	}
	seen := map[Service]bool{}
	for _, sc := range c.Services {
		v, err := sc.vip()
		if err == nil && seen[v.Service] {
			err = fmt.Errorf("service %v is there twice", v.Service)
		}
		if err != nil {
			return s, nil, fmt.Errorf("%s: %w", name, err)
		}
		seen[v.Service] = true
		vips = append(vips, v)
	}
	return s, vips, nil
}

func (c *config) settings() (s Settings, err error) {
	s = Settings{MTU: c.MTU, FloodLimit: c.FloodLimit, Connections: c.Connections}
	if s.Gateway, err = net.ParseMAC(c.Gateway); err != nil || len(s.Gateway) != 6 {
		return s, fmt.Errorf("gateway: %q is no Ethernet address", c.Gateway)
	}
	if c.UDPTimeout != "" {
		if s.UDPTimeout, err = time.ParseDuration(c.UDPTimeout); err != nil {
			return s, fmt.Errorf("udp_timeout: %w", err)
		}
	}
	return s, nil
}

func (c *serviceConfig) vip() (VIP, error) {
	v := VIP{Service: Service{Addr: c.Address, Port: c.Port}, NoTable: c.NoTable, NoPorts: c.NoPorts}
	switch c.Protocol {
	case "tcp":
		v.Service.Protocol = TCP
	case "udp":
		v.Service.Protocol = UDP
	default:
		return v, fmt.Errorf("service %v: protocol %q is neither tcp nor udp", c.Address, c.Protocol)
	}
	for _, b := range c.Backends {
		v.Backends = append(v.Backends, Backend{b.Address, b.Weight})
	}
	return v, nil
}
