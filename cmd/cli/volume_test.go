package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"tombolo/cmd/errortest"
	"tombolo/framework/api"
)

var tied = []api.Volume{
	{Name: "blog_db", Host: "h1"},
	{Name: "shop_data", App: "shop", Host: "h2", HostUp: true, UsedBy: []string{"shop/db.1"}},
}

func (f *fakeFramework) ListVolumes(context.Context) ([]api.Volume, error) { return tied, nil }

func (f *fakeFramework) RemoveVolume(_ context.Context, name string) (api.Volume, error) {
	if name == "shop_data" {
		return api.Volume{}, fmt.Errorf("%w: volume shop_data is used by shop/db.1", api.ErrConflict)
	}
	return tied[0], nil
}

func (f *fakeFramework) UnpinVolume(_ context.Context, name string) (api.Volume, error) {
	if name == "nobodys" {
		return api.Volume{}, fmt.Errorf("volume %q: %w", name, api.ErrNotFound)
	}
	return tied[1], nil
}

func TestVolumeCommands(t *testing.T) {
	f := &fakeFramework{}
	socket := f.serve(t)
	for _, c := range []struct{ name, args, out, err string }{
		{"ls", "ls", "VOLUME     APP   HOST  HOST STATE  USED BY\nblog_db    -     h1    away        -\nshop_data  shop  h2    up          shop/db.1\n", ""},
		{"rm", "rm blog_db", "removed volume blog_db and its data from h1\n", ""},
		{"rm of one that is used", "rm shop_data", "", "volume shop_data is used by shop/db.1"},
		{"unpin says what is lost", "unpin shop_data", "volume shop_data is no longer tied to h2: its next instance starts on any host, with an empty volume. The data on h2 are lost to the app\n" +
			"starting without its data: shop/db.1\n", ""},
		{"unpin of one that nobody has", "unpin nobodys", "", "not found"},
		{"rm without a name", "rm", "", "volumes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := newRootCommand("dev")
			var out bytes.Buffer
			root.SetOut(&out)
			root.SetArgs(append(append([]string{"volume"}, strings.Fields(c.args)...), "--api", socket))
			err := root.ExecuteContext(t.Context())
			errortest.Contains(t, err, c.err)
			if err == nil && out.String() != c.out {
				t.Errorf("printed\n%swant\n%s", out.String(), c.out)
			}
		})
	}
}
