package elf_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	ciliumbtf "github.com/cilium/ebpf/btf"
)

// uapiNames are the types of elf/uapi.btf: structs and enums of
// include/uapi/linux that programs see, pass to helpers, or find in packets; and,
// of the contexts of tracing programs, those that package hook/linux has (amd64).
var uapiNames = strings.Fields(`
	__sk_buff xdp_md bpf_sock bpf_tcp_sock bpf_xdp_sock bpf_sock_addr bpf_sock_ops sk_msg_md sk_reuseport_md bpf_sk_lookup
	bpf_sockopt bpf_sysctl bpf_cgroup_dev_ctx bpf_flow_keys bpf_raw_tracepoint_args
	pt_regs fred_cs fred_ss trace_entry trace_event_raw_sys_enter trace_event_raw_sys_exit
	bpf_sock_tuple bpf_fib_lookup bpf_tunnel_key bpf_xfrm_state bpf_redir_neigh bpf_perf_event_value bpf_pidns_info
	bpf_spin_lock bpf_timer bpf_dynptr bpf_iter_num bpf_devmap_val bpf_cpumap_val
	ethhdr vlan_hdr arphdr iphdr ipv6hdr ipv6_opt_hdr ipv6_rt_hdr frag_hdr tcphdr udphdr icmphdr icmp6hdr icmpv6_echo icmpv6_nd_advt icmpv6_nd_ra
	ip_auth_hdr ip_esp_hdr gre_base_hdr in_addr in6_addr sockaddr_in sockaddr_in6
	xdp_action sk_action bpf_ret_code bpf_map_type bpf_prog_type bpf_attach_type bpf_func_id bpf_hdr_start_off bpf_adj_room_mode`)

// TestUAPI compares the types that need no target BTF with the running kernel's:
// each member's place and size, each constant's value.
func TestUAPI(t *testing.T) {
	kernel, err := ciliumbtf.LoadKernelSpec()
	if err != nil {
		t.Skip("the kernel's BTF:", err)
	}
	if *update {
		b, err := ciliumbtf.NewBuilder(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range uapiNames {
			typ, err := typeNamed(kernel, name)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := b.Add(typ); err != nil {
				t.Fatal(err)
			}
		}
		raw, err := b.Marshal(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("uapi.btf", raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile("uapi.btf")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := ciliumbtf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range uapiNames {
		want, err := typeNamed(kernel, name)
		if err != nil {
			t.Logf("%s: this kernel: %v", name, err)
			continue
		}
		got, err := typeNamed(ours, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		places, theirs := map[string]string{}, map[string]string{}
		layout(got, name, 0, places)
		layout(want, name, 0, theirs)
		for member, at := range places { // newer kernels may have more
			if theirs[member] != at {
				t.Errorf("%s is %s, in the kernel %s", member, at, theirs[member])
			}
		}
		if len(places) == 0 {
			t.Errorf("%s has no members", name)
		}
	}
	for id := ciliumbtf.TypeID(1); ; id++ { // nothing else may come along
		typ, err := ours.TypeByID(id)
		if err != nil {
			break
		}
		if _, ok := typ.(*ciliumbtf.Struct); ok && typ.TypeName() != "" && !strings.HasPrefix(typ.TypeName(), "bpf_") && !contains(uapiNames, typ.TypeName()) {
			t.Errorf("%s came along", typ.TypeName())
		}
	}
}

// typeNamed returns the struct or enum called name.
func typeNamed(s *ciliumbtf.Spec, name string) (ciliumbtf.Type, error) {
	types, err := s.AnyTypesByName(name)
	if err != nil {
		return nil, err
	}
	for _, typ := range types {
		switch typ.(type) {
		case *ciliumbtf.Struct, *ciliumbtf.Enum:
			return typ, nil
		}
	}
	return nil, fmt.Errorf("no struct or enum %s", name)
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// layout notes where each member of typ is.
func layout(typ ciliumbtf.Type, name string, at uint32, places map[string]string) {
	members := func(ms []ciliumbtf.Member) {
		for _, m := range ms {
			n, off := name, at+uint32(m.Offset)
			if m.Name != "" {
				n += "." + m.Name
			}
			u := ciliumbtf.UnderlyingType(m.Type)
			size, _ := ciliumbtf.Sizeof(u)
			if m.Name != "" {
				places[n] = fmt.Sprintf("%v of %d bytes, %d bits, at bit %d", reflect.TypeOf(u), size, m.BitfieldSize, off)
			}
			layout(u, n, off, places)
		}
	}
	switch u := ciliumbtf.UnderlyingType(typ).(type) {
	case *ciliumbtf.Struct:
		members(u.Members)
	case *ciliumbtf.Union:
		members(u.Members)
	case *ciliumbtf.Enum:
		for _, v := range u.Values {
			places[name+" "+v.Name] = fmt.Sprint(v.Value)
		}
	}
}

var update = flag.Bool("update", false, "write uapi.btf anew, from the running kernel's types")
