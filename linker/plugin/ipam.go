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

// The IDs of the two pools; every network of the driver shares them.
const (
	pool4ID = "tombolo4"
	pool6ID = "tombolo6"
)

// Options of libnetwork's netlabel and ipamapi packages.
const (
	optGateway     = "com.docker.network.gateway"
	optMAC         = "com.docker.network.endpoint.macaddress"
	optRequestType = "RequestAddressType"
)

// requestPool names the pool that Docker shows as the network's subnet.
//
// While the pool we return overlaps a route of the host, Docker asks again for
// ever, unless the user named a subnet or the pool is 0.0.0.0/0. So an unnamed pool
// is that one. ::/0 does not help: IPv6 must be named.
func (s *Server) requestPool(_ context.Context, r poolRequest) (any, error) {
	own, id, gateway := s.cfg.Pool4, pool4ID, netip.PrefixFrom(attach.Gateway4, 32)
	if r.V6 {
		own, id, gateway = s.cfg.Pool6, pool6ID, netip.PrefixFrom(attach.Gateway6, 128)
	}
	switch {
	case r.V6 && !own.IsValid():
		return nil, errors.New("this cluster has no IPv6 pool: start the linkers with --pool6")
	case r.Pool == "" && r.V6:
		return nil, fmt.Errorf("name the IPv6 subnet: --subnet %s", own)
	case r.SubPool != "":
		return nil, errors.New("an IP range cannot be chosen: each host gives addresses of its own block")
	}
	reply := poolReply{PoolID: id, Pool: "0.0.0.0/0", Data: map[string]string{optGateway: gateway.String()}}
	if r.Pool == "" {
		return reply, nil
	}
	pool, err := netip.ParsePrefix(r.Pool)
	if err != nil {
		return nil, fmt.Errorf("subnet: %w", err)
	}
	if pool.Masked() != own && (r.V6 || pool.Bits() != 0) {
		return nil, fmt.Errorf("subnet %s is not the cluster's pool %s", pool, own)
	}
	reply.Pool = pool.Masked().String()
	return reply, nil
}

func (s *Server) requestAddress(ctx context.Context, r addressRequest) (any, error) {
	want, err := parseAddr(r.Address)
	if err != nil {
		return nil, err
	}
	if r.PoolID != pool4ID && r.PoolID != pool6ID {
		return nil, fmt.Errorf("unknown pool %q", r.PoolID)
	}
	v6 := r.PoolID == pool6ID
	if want.IsValid() && want.Is6() != v6 {
		return nil, fmt.Errorf("address %s is not of the pool's family", want)
	}
	if r.Options[optRequestType] == optGateway {
		return s.gateway(want, v6)
	}
	addr, err := s.cfg.Addresses.Reserve(ctx, attach.Request{Key: r.Options[optMAC], V6: v6, Want: want})
	if err != nil {
		return nil, err
	}
	return addressReply{Address: netip.PrefixFrom(addr, addr.BitLen()).String(), Data: map[string]string{}}, nil
}

// gateway answers a network made with --gateway. There is one gateway, and no
// block has it.
func (s *Server) gateway(want netip.Addr, v6 bool) (any, error) {
	own := attach.Gateway4
	if v6 {
		own = attach.Gateway6
	}
	if want.IsValid() && want != own {
		return nil, fmt.Errorf("gateway %s: containers leave by %s, name no other", want, own)
	}
	return addressReply{Address: netip.PrefixFrom(own, own.BitLen()).String(), Data: map[string]string{}}, nil
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
