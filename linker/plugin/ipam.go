package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"tombolo/linker/attach"
)

// poolID identifies the one pool, which every network of the driver shares.
const poolID = "tombolo4"

// Options that libnetwork's packages netlabel and ipamapi define.
const (
	optGateway     = "com.docker.network.gateway"
	optRequestType = "RequestAddressType"
)

// errIPv6 refuses a network with --ipv6. An Engine before version 25 would start three
// processes for the IPv6 address of each container.
var errIPv6 = errors.New("make the network without --ipv6: where the cluster has an IPv6 pool, the linker gives its containers IPv6 itself")

// requestPool returns the pool that Docker shows as the network's subnet. If the request
// names none, that is 0.0.0.0/0: for as long as any other pool that the user did not
// name overlaps a route of the host, Docker repeats the request.
func (s *Server) requestPool(_ context.Context, r poolRequest) (any, error) {
	switch {
	case r.V6:
		return nil, errIPv6
	case r.SubPool != "":
		return nil, errors.New("an IP range cannot be chosen: each host gives addresses of its own block; make the network without --ip-range")
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
		return nil, fmt.Errorf("address %s is not an IPv4 address", want)
	}
	if r.Options[optRequestType] == optGateway {
		return gateway(want)
	}
	addr, err := s.cfg.Table.Reserve(ctx, want)
	if err != nil {
		return nil, err
	}
	return answer(addr), nil
}

// gateway answers for a network made with --gateway. There is only one gateway, and it
// is in no block.
func gateway(want netip.Addr) (any, error) {
	if want.IsValid() && want != attach.Gateway4 {
		return nil, fmt.Errorf("gateway %s: all containers use %s; make the network without --gateway", want, attach.Gateway4)
	}
	return answer(attach.Gateway4), nil
}

func answer(addr netip.Addr) addressReply {
	return addressReply{Address: netip.PrefixFrom(addr, addr.BitLen()).String(), Data: map[string]string{}}
}

func (s *Server) releaseAddress(_ context.Context, r addressRequest) (any, error) {
	addr, err := parseAddr(r.Address)
	if err != nil || !addr.IsValid() {
		return nil, errors.Join(errors.New("the request names no address to release"), err)
	}
	return struct{}{}, s.cfg.Table.Release(addr)
}

// parseAddr parses an address with or without a prefix length. It returns the zero Addr
// for "".
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
