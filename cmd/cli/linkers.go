package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/pflag"

	"tombolo/cmd/lab"
	"tombolo/cmd/privilege"
	"tombolo/cmd/rundir"
	"tombolo/linker/api"
)

// defaultLinkerSocket is the socket of this machine's linker.
var defaultLinkerSocket = rundir.Default.Linker()

func linkerSocketFlag(flags *pflag.FlagSet, socket *string) {
	flags.StringVar(socket, "socket", "", "the linker's `socket` (default "+defaultLinkerSocket+"; in a lab, the sockets of every host)")
}

// linkerSockets lists the linkers to ask: the named one or, without a name, those of the
// lab's live hosts or, without a lab, this machine's.
func linkerSockets(named string) ([]string, error) {
	if named != "" {
		return []string{named}, nil
	}
	l, err := lab.Load()
	if errors.Is(err, lab.ErrNone) {
		return []string{defaultLinkerSocket}, nil
	}
	if err != nil {
		return nil, err
	}
	var sockets []string
	for _, h := range l.Hosts {
		if h.Alive() {
			sockets = append(sockets, h.LinkerSocket())
		}
	}
	if len(sockets) == 0 {
		return nil, errors.New("every host of the lab is dead (see: tombolo lab ps)")
	}
	return sockets, nil
}

// askLinker calls ask with a client of the linker at socket, and explains its error.
func askLinker(socket string, ask func(*api.Client) error) error {
	c := api.NewClient(socket)
	defer c.Close()
	err := ask(c)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no linker runs here (tombolo up starts one; on a cluster: systemctl start tombolo-linker): %w", err)
	}
	return privilege.Explain(err, socket)
}
