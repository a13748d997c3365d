package offers_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/offers"
	"tombolo/framework/place"
)

var (
	start  = time.Date(2026, 11, 23, 13, 20, 0, 0, time.UTC)
	web    = []offers.Instance{{App: "shop", Service: "web", Slot: 1}}
	cpus   = mesos.Resource{Name: "cpus", Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: 2}}
	memory = mesos.Resource{Name: "mem", Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: 512}}
)

func offer(id, agent, host string) mesos.Offer {
	return mesos.Offer{
		ID: mesos.OfferID{Value: id}, AgentID: mesos.AgentID{Value: agent}, Hostname: host,
		Resources: []mesos.Resource{cpus, memory},
	}
}

// bed is a book and the calls that it has asked for.
type bed struct {
	t    *testing.T
	book offers.Book
	now  time.Time
}

func newBed(t *testing.T) *bed { return &bed{t: t, now: start} }

func (b *bed) add(list ...mesos.Offer) {
	b.t.Helper()
	for _, o := range list {
		if _, _, err := b.book.Add(o, b.now); err != nil {
			b.t.Fatal(err)
		}
	}
}

// expect compares the calls of do with what each of want says.
func (b *bed) expect(do offers.Actions, want ...string) {
	b.t.Helper()
	var got []string
	for _, c := range do.Calls {
		text := c.Type.String()
		for _, id := range c.GetDecline().GetOfferIDs() {
			text += " " + id.Value
		}
		for _, id := range c.GetAccept().GetOfferIDs() {
			text += " " + id.Value
		}
		if filters := c.GetDecline().GetFilters(); filters != nil {
			text += " " + time.Duration(*filters.RefuseSeconds*float64(time.Second)).String()
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("calls to the master (-want +got):\n%s", diff)
	}
}

func (b *bed) declineIdle(d offers.Demand) offers.Actions {
	b.t.Helper()
	return b.book.DeclineIdle(d, b.now)
}

func TestOffersAreDeclinedAndSuppressedWhileNothingWaits(t *testing.T) {
	b := newBed(t)
	b.add(offer("O2", "S1", "h1"), offer("O1", "S2", "h2"))
	b.expect(b.declineIdle(offers.Demand{}), "DECLINE O1 O2 5s", "SUPPRESS")
	b.expect(b.declineIdle(offers.Demand{})) // nothing is left to do
}

func TestNewInstancesReviveOffersOnce(t *testing.T) {
	b := newBed(t)
	ready, do := b.book.ReviveOffers(web, []string{"h1"}, b.now)
	b.expect(do) // a new subscription has nothing to revive
	if ready || !do.Wake.Equal(start.Add(300*time.Millisecond)) {
		t.Errorf("without any offer: ready %v, wake at %v; want to wait 300ms", ready, do.Wake)
	}
	b.expect(b.declineIdle(offers.Demand{}), "SUPPRESS")
	_, do = b.book.ReviveOffers(web, []string{"h1"}, b.now)
	b.expect(do, "REVIVE")
	_, do = b.book.ReviveOffers(web, []string{"h1"}, b.now)
	b.expect(do) // the instance is not new any more
}

func TestPlacementWaitsForTheOffersOfAllUsableHosts(t *testing.T) {
	b := newBed(t)
	usable := []string{"h1", "h2"}
	b.add(offer("O1", "S1", "h1"))
	if ready, _ := b.book.ReviveOffers(web, usable, b.now); ready {
		t.Error("ready although h2 has not offered")
	}
	b.add(offer("O2", "S2", "h2"))
	if ready, do := b.book.ReviveOffers(web, usable, b.now); !ready || !do.Wake.IsZero() {
		t.Errorf("all hosts have offered: ready %v, wake at %v; want ready at once", ready, do.Wake)
	}
	b.book.Rescind("O2")
	if ready, _ := b.book.ReviveOffers(web, usable, start.Add(300*time.Millisecond)); !ready {
		t.Error("not ready after the wait is over")
	}
}

func TestOffersAreHeldForSecondsWhereAnInstanceNearlyFits(t *testing.T) {
	b := newBed(t)
	nearly := offers.Demand{Unplaced: true, Near: map[string]bool{"h1": true, "h2": true}}
	b.add(offer("O1", "S1", "h1"), offer("O3", "S3", "h3"))
	b.now = start.Add(2 * time.Second)
	b.add(offer("O2", "S2", "h2"))
	do := b.declineIdle(nearly)
	b.expect(do, "DECLINE O3 5s") // nothing fits on h3
	if want := start.Add(5 * time.Second); !do.Wake.Equal(want) {
		t.Errorf("wake at %v, want %v, when the first offer was held for 5s", do.Wake, want)
	}
	b.now = do.Wake
	b.expect(b.declineIdle(nearly), "DECLINE O1 10s")
	if len(b.book.Hosts()) != 1 {
		t.Errorf("offers held: %v, want only that of h2", b.book.Hosts())
	}
}

func TestOffersAreRefusedForLongerWhileTheSameInstancesWait(t *testing.T) {
	b := newBed(t)
	unplaced := offers.Demand{Unplaced: true}
	for _, want := range []string{"5s", "10s", "20s", "30s", "30s"} {
		b.book.ReviveOffers(web, nil, b.now)
		b.add(offer("O1", "S1", "h1"))
		b.expect(b.declineIdle(unplaced), "DECLINE O1 "+want)
	}
	b.book.ReviveOffers([]offers.Instance{{App: "shop", Service: "web", Slot: 2}}, nil, b.now)
	b.add(offer("O1", "S1", "h1"))
	b.expect(b.declineIdle(unplaced), "DECLINE O1 5s")
}

func TestAHostThatBecomesUsableRevivesOffers(t *testing.T) {
	b := newBed(t)
	b.book.ReviveOffers(web, []string{"h1"}, b.now)
	b.add(offer("O1", "S1", "h1"))
	b.expect(b.declineIdle(offers.Demand{Unplaced: true}), "DECLINE O1 5s")
	_, do := b.book.ReviveOffers(web, []string{"h1", "h2"}, b.now)
	b.expect(do, "REVIVE")
	_, do = b.book.ReviveOffers(web, []string{"h1", "h2"}, b.now)
	b.expect(do)
}

// Mesos offers what becomes free of a host apart, so a host may have several offers.
func TestTheRoomOfAHostIsThatOfTheOffersThatAreHeld(t *testing.T) {
	b := newBed(t)
	b.add(offer("O1", "S1", "h1"), offer("O2", "S1", "h1"), offer("O3", "S9", "h1"))
	for _, want := range []float64{4, 2, 0} {
		free, ok := b.book.Free("h1", "S1")
		if free.CPUs != want || ok != (want > 0) {
			t.Errorf("the room is %v (ok %v), want %v CPUs", free, ok, want)
		}
		b.book.Rescind("O1")
		if want == 2 {
			b.book.Rescind("O2")
		}
	}
}

func TestAServiceOnEveryHostKeepsOffersComing(t *testing.T) {
	b := newBed(t)
	b.expect(b.declineIdle(offers.Demand{}), "SUPPRESS")
	everyHost := offers.Demand{EveryHost: true}
	b.expect(b.declineIdle(everyHost), "REVIVE")
	b.add(offer("O1", "S1", "h1"))
	b.expect(b.declineIdle(everyHost), "DECLINE O1 1h0m0s")
}

func TestAcceptUsesTheOffersOfThePresentAgent(t *testing.T) {
	b := newBed(t)
	b.add(offer("O1", "S1", "h1"), offer("O2", "S9", "h1"), offer("O3", "S1", "h1"), offer("O4", "S2", "h2"))
	b.expect(b.book.Accept("h1", "S1", nil), "ACCEPT O1 O3")
	b.book.RemoveAgent("S9")
	if held := b.book.Hosts(); len(held) != 1 || len(held["h2"]) != 1 {
		t.Errorf("offers held: %v, want only that of h2", held)
	}
	_, do := b.book.ReviveOffers(web, nil, b.now)
	b.expect(do, "REVIVE") // the master filters the resources that ACCEPT left over
}

func TestOffersAreVoidWithoutASubscription(t *testing.T) {
	b := newBed(t)
	b.add(offer("O1", "S1", "h1"))
	b.expect(b.declineIdle(offers.Demand{}), "DECLINE O1 5s", "SUPPRESS")
	b.add(offer("O2", "S1", "h1"))
	b.book.Disconnected()
	if held := b.book.Hosts(); len(held) > 0 {
		t.Errorf("offers held after the subscription was lost: %v", held)
	}
	b.book.Subscribed()
	_, do := b.book.ReviveOffers(web, nil, b.now)
	b.expect(do) // the new subscription is not suppressed
}

func TestOnlyUsableResourcesCount(t *testing.T) {
	b := newBed(t)
	role := "tombolo"
	in := offer("O1", "S1", "H1.example.com")
	reserved, revocable := cpus, cpus
	reserved.Role = &role
	revocable.Revocable = &mesos.Resource_RevocableInfo{}
	ports := mesos.Resource{Name: "ports", Type: mesos.RANGES.Enum(), Ranges: &mesos.Value_Ranges{
		Range: []mesos.Value_Range{{Begin: 31000, End: 32000}, {Begin: 65000, End: 70000}},
	}}
	in.Resources = append(in.Resources, cpus, reserved, revocable, ports)
	in.Attributes = []mesos.Attribute{{Name: "rack", Text: &mesos.Value_Text{Value: "r1"}}, {Name: "level", Scalar: &mesos.Value_Scalar{Value: 3}}}
	got, do, err := b.book.Add(in, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.expect(do)
	want := &offers.Offer{
		ID: "O1", Agent: "S1", Host: "h1", CPUs: 4, MemBytes: 512 << 20, Since: start, Reserved: true,
		Ports: []place.PortRange{{First: 31000, Last: 32000}, {First: 65000, Last: 65535}}, Attributes: map[string]place.Attribute{"rack": {Text: "r1"}, "level": {Kind: place.Scalar, Number: 3}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("offer (-want +got):\n%s", diff)
	}
}

func TestAnOfferOfAHostWithoutAUsableNameIsDeclined(t *testing.T) {
	b := newBed(t)
	_, do, err := b.book.Add(offer("O1", "S1", "no host"), b.now)
	if err == nil {
		t.Error("an offer of a host with a space in its name was taken")
	}
	b.expect(do, "DECLINE O1 1h0m0s")
	if held := b.book.Hosts(); len(held) > 0 {
		t.Errorf("offers held: %v, want none", held)
	}
}
