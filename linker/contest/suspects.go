package contest

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"tombolo/overlay"
)

// Suspect is a program, or one of its files, that may undo a thing.
type Suspect struct {
	What   string // "systemd-networkd", "net.ipv4.ip_forward = 0 in /etc/sysctl.d/99-cis.conf"
	Remedy string // what to do about it
}

// Suspects returns who may undo a thing on a host with the root folder root, the likeliest first.
// It reads only a few files, and skips those that it cannot read.
func Suspects(root fs.FS, thing overlay.Repair) []Suspect {
	if thing.Kind == overlay.KindSysctl {
		return sysctlFiles(root, thing.Thing)
	}
	return networkManagers(root, thing.Kind)
}

// sysctlFolders are the places that sysctl --system and systemd-sysctl read (sysctl.d(5)). UFW
// applies a file of its own.
var sysctlFolders = []string{"etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d"}

// sysctlFiles finds the lines that give another value to a setting than "NAME = VALUE" does.
func sysctlFiles(root fs.FS, wanted string) []Suspect {
	name, want, _ := setting(wanted)
	files := []string{"etc/sysctl.conf", "etc/ufw/sysctl.conf"}
	for _, folder := range sysctlFolders {
		found, _ := fs.Glob(root, path.Join(folder, "*.conf"))
		files = append(files, found...)
	}
	var out []Suspect
	for _, file := range files {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(text) {
			if key, value, ok := setting(string(line)); ok && value != want && sameSysctl(key, name) {
				out = append(out, Suspect{
					What:   fmt.Sprintf("%s = %s in /%s", name, value, file),
					Remedy: "correct or remove that line",
				})
			}
		}
	}
	return out
}

// setting splits a line of sysctl.d(5). The minus sign in front of a key has sysctl ignore errors.
func setting(line string) (key, value string, ok bool) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
		return "", "", false
	}
	key, value, ok = strings.Cut(line, "=")
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(key), "-")), strings.TrimSpace(value), ok
}

// sameSysctl reports whether a key of a file names the setting "net.ipv4.conf.tombolo0.forwarding".
// The key may have slashes instead of dots, a pattern, or "all" or "default" for every interface.
func sameSysctl(key, name string) bool {
	if !strings.Contains(key, ".") || strings.Contains(key, "/") && strings.Index(key, "/") < strings.Index(key, ".") {
		key = strings.ReplaceAll(key, "/", ".")
	}
	parts, want := strings.Split(key, "."), strings.Split(name, ".")
	if slices.Equal(parts, strings.Split("net.ipv4.ip_forward", ".")) {
		parts = strings.Split("net.ipv4.conf.all.forwarding", ".") // its other name; it sets all interfaces
	}
	if slices.Equal(want, strings.Split("net.ipv4.ip_forward", ".")) {
		want = strings.Split("net.ipv4.conf.all.forwarding", ".")
	}
	if len(parts) != len(want) {
		return false
	}
	for i := range parts {
		everyInterface := i == 3 && len(parts) == 5 && (parts[i] == "all" || parts[i] == "default")
		if ok, err := path.Match(parts[i], want[i]); !everyInterface && (err != nil || !ok) {
			return false
		}
	}
	return true
}

// networkManagers are programs that remove what they did not make themselves.
func networkManagers(root fs.FS, kind overlay.RepairKind) []Suspect {
	var out []Suspect
	add := func(s Suspect) { out = append(out, s) }
	if exists(root, "run/systemd/netif/state") {
		routes := kind == overlay.KindRoute && !strings.EqualFold(networkdSetting(root, "ManageForeignRoutes"), "no") &&
			!slices.Contains([]string{"false", "off", "0"}, strings.ToLower(networkdSetting(root, "ManageForeignRoutes")))
		switch {
		case !exists(root, "etc/systemd/network/"+NetworkdFile) && !exists(root, "usr/lib/systemd/network/"+NetworkdFile):
			add(Suspect{"systemd-networkd, which may manage tombolo0 and tb*", "install " + NetworkdFile + " in /etc/systemd/network (see docs/troubleshooting.md), then: networkctl reload"})
		case routes:
			add(Suspect{"systemd-networkd with ManageForeignRoutes=yes", "set ManageForeignRoutes=no in /etc/systemd/networkd.conf.d/10-tombolo.conf, then: systemctl restart systemd-networkd"})
		}
	}
	if exists(root, "run/NetworkManager/NetworkManager.pid") || exists(root, "run/NetworkManager/devices") {
		add(Suspect{"NetworkManager", "keep it away from these interfaces: unmanaged-devices=interface-name:tombolo0;interface-name:tb* in the section [keyfile] of /etc/NetworkManager/conf.d/tombolo.conf, then: systemctl reload NetworkManager"})
	}
	return out
}

// NetworkdFile is the name of the file that keeps systemd-networkd away from our interfaces
// (packaging/10-tombolo.network).
const NetworkdFile = "10-tombolo.network"

// networkdSetting returns the value of a key of the section [Network] of networkd.conf(5): that of
// the file whose name sorts last; "" if no file has it.
func networkdSetting(root fs.FS, key string) (value string) {
	files := []string{"etc/systemd/networkd.conf"}
	var dropIns []string
	for _, folder := range []string{"usr/lib/systemd", "run/systemd", "etc/systemd"} {
		found, _ := fs.Glob(root, folder+"/networkd.conf.d/*.conf")
		dropIns = append(dropIns, found...)
	}
	slices.SortStableFunc(dropIns, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	for _, file := range append(files, dropIns...) {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			if k, v, ok := setting(lines.Text()); ok && k == key {
				value = v
			}
		}
	}
	return value
}

func exists(root fs.FS, name string) bool {
	_, err := fs.Stat(root, name)
	return err == nil
}
