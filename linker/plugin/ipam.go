package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"tombolo/linker/attach"
)

// addressSpace is local: every host's linker answers for its own block alone.
const addressSpace = "tombolo"

// poolID is the one pool's; every network of the driver shares it.
const poolID = "tombolo4"

// Options of libnetwork's netlabel and ipamapi packages.
const (
	optGateway     = "com.docker.network.gateway"
	optRequestType = "RequestAddressType"
)

// errIPv6 is what a network with --ipv6 is told. An Engine before 25 starts three
// processes for each container's IPv6.
var errIPv6 = errors.New("make the network without --ipv6: where the cluster has an IPv6 pool, the linker gives its containers IPv6 itself")

// requestPool names the pool that Docker shows as the network's subnet.
//
// While the pool we return overlaps a route of the host, Docker asks again for
// ever, unless the user named a subnet or the pool is 0.0.0.0/0. So an unnamed pool
// is that one.
func (s *Server) requestPool(_ context.Context, r poolRequest) (any, error) {
	switch {
	case r.V6:
		return nil, errIPv6
	case r.SubPool != "":
		return nil, errors.New("an IP range cannot be chosen: each host gives addresses of its own block")
	}
	gateway := netip.PrefixFrom(attach.Gateway4, 32)
	reply := poolReply{PoolID: poolID, Pool: "0.0.0.0/0", Data: map[string]string{optGateway: gateway.String()}}
	if r.Pool == "" {
		return reply, nil
	}
	pool, err := netip.ParsePrefix(r.Pool)
	if err != nil {
		return nil, fmt.Errorf("subnet: %w", err)
	}
	if pool.Masked() != s.cfg.Pool4 && (pool.Bits() != 0 || !pool.Addr().Is4()) {
		return nil, fmt.Errorf("subnet %s is not the cluster's pool %s", pool, s.cfg.Pool4)
	}
	reply.Pool = pool.Masked().String()
	return reply, nil
}

func (s *Server) requestAddress(ctx context.Context, r addressRequest) (any, error) {
	want, err := parseAddr(r.Address)
	if err != nil {
		return nil, err
	}
	if r.PoolID != poolID {
		return nil, fmt.Errorf("unknown pool %q", r.PoolID)
	}
	if want.IsValid() && !want.Is4() {
		return nil, fmt.Errorf("address %s is not of the pool's family", want)
	}
	if r.Options[optRequestType] == optGateway {
		return gateway(want)
	}
	addr, err := s.cfg.Addresses.Reserve(ctx, want)
	if err != nil {
		return nil, err
	}
	return answer(addr), nil
}

// gateway answers a network made with --gateway. There is one gateway, and no
// block has it.
func gateway(want netip.Addr) (any, error) {
	if want.IsValid() && want != attach.Gateway4 {
		return nil, fmt.Errorf("gateway %s: containers leave by %s, name no other", want, attach.Gateway4)
	}
	return answer(attach.Gateway4), nil
}

func answer(addr netip.Addr) addressReply {
	return addressReply{Address: netip.PrefixFrom(addr, addr.BitLen()).String(), Data: map[string]string{}}
}

func (s *Server) releaseAddress(_ context.Context, r addressRequest) (any, error) {
	addr, err := parseAddr(r.Address)
	if err != nil || !addr.IsValid() {
		return nil, errors.Join(errors.New("release which address?"), err)
	}
	return struct{}{}, s.cfg.Addresses.Release(addr)
}

// parseAddr reads an address with or without a prefix length; "" is the zero Addr.
func parseAddr(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Addr(), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("address: %w", err)
	}
	if addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("address %s has a zone", addr)
	}
	return addr.Unmap(), nil
}
