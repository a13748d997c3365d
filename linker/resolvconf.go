package linker

import (
	"os"
	"path/filepath"
)

// resolvConf is the file that containers mount over their /etc/resolv.conf. It has no
// search list, because the linker itself answers short names.
const resolvConf = `# The Tombolo linker of this host answers, in the view of the container that asks.
nameserver 169.254.1.1
options ndots:0 timeout:2 attempts:3
`

// writeResolvConf leaves a file with the same content alone: containers have mounted
// that very file, and would not see one that replaces it.
func writeResolvConf(path string) error {
	if have, err := os.ReadFile(path); err == nil && string(have) == resolvConf {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(resolvConf), 0o644)
}
