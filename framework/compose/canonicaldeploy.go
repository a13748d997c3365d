package compose

import (
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"tombolo/framework/app"
)

func (t tree) deploy(s *app.Service) {
	if s.Global {
		t.in("deploy")["mode"] = "global"
	} else if s.Replicas != 1 {
		t.in("deploy")["replicas"] = s.Replicas
	}
	if s.DNSRR {
		t.in("deploy")["endpoint_mode"] = "dnsrr"
	}
	r := s.Resources
	set(t, decimal(r.CPULimit), "deploy", "resources", "limits", "cpus")
	set(t, integer(r.MemLimit), "deploy", "resources", "limits", "memory")
	set(t, r.PIDsLimit, "deploy", "resources", "limits", "pids")
	set(t, decimal(r.CPUs), "deploy", "resources", "reservations", "cpus")
	set(t, integer(r.MemBytes), "deploy", "resources", "reservations", "memory")
	for _, c := range s.Constraints {
		attribute := "node.labels." + c.Attribute
		if c.Attribute == "hostname" {
			attribute = "node.hostname"
		}
		add(t.in("deploy").in("placement"), "constraints", escape(attribute+" "+c.Op+" "+c.Value))
	}
	t.restart(s.Restart)
}

// restart writes the key restart, or restart_policy below deploy if restart cannot say
// it all.
func (t tree) restart(r app.Restart) {
	if r.Delay == 0 && r.Window == 0 && (r.MaxAttempts == 0 || r.Condition == app.RestartOnFailure) {
		word := map[string]string{app.RestartNone: "no", app.RestartAny: "always", app.RestartOnFailure: "on-failure"}[r.Condition]
		if r.MaxAttempts > 0 {
			word += ":" + strconv.Itoa(r.MaxAttempts)
		}
		t["restart"] = word
		return
	}
	policy := t.in("deploy").in("restart_policy")
	policy["condition"] = r.Condition
	set(policy, r.MaxAttempts, "max_attempts")
	set(policy, period(r.Delay), "delay")
	set(policy, period(r.Window), "window")
}

// period returns "" for 0.
func period(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// decimal returns "" for 0.
func decimal(f float64) string {
	if f == 0 {
		return ""
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// integer returns "" for 0.
func integer(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// buildKeys are the keys whose items are flags of `docker build`.
var buildKeys = map[string]string{"cache-from": "cache_from", "tag": "tags", "add-host": "extra_hosts", "platform": "platforms"}

func buildTree(b *app.Build) tree {
	t := tree{}
	set(t, escape(b.Context), "context")
	set(t, escape(b.Inline), "dockerfile_inline")
	set(t, escape(b.Dockerfile), "dockerfile")
	set(t, b.Target, "target")
	set(t, b.NoCache, "no_cache")
	set(t, b.Network, "network")
	t.pairs("args", b.Args)
	t.pairs("labels", b.Labels)
	for _, f := range b.Flags {
		switch f.Name {
		case "pull":
			t["pull"] = true
		case "shm-size":
			t["shm_size"] = f.Value
		case "ulimit":
			t.ulimit(f.Value)
		default:
			if key := buildKeys[f.Name]; key != "" {
				add(t, key, escape(f.Value))
			}
		}
	}
	return t
}

// flags is the reverse of flagMapping: it writes Docker's flags as keys.
func (t tree) flags(s *app.Service) {
	for _, f := range s.Docker {
		form, _ := app.FormOf(f.Name)
		name, value, _ := strings.Cut(f.Value, "=")
		switch {
		case form.Key == "":
			t.partOfKey(f)
		case form.Kind == app.FlagList, form.Kind == app.FlagAddr:
			add(t, form.Key, escape(f.Value))
		case form.Kind == app.FlagPair:
			t.in(form.Key)[name] = escape(value)
		case form.Kind == app.FlagBool:
			t[form.Key] = f.Value == "true"
		case form.Kind == app.FlagInt:
			t[form.Key] = number(f.Value)
		default:
			t[form.Key] = escape(f.Value)
		}
	}
}

// partOfKey writes a flag whose key has other parts, too.
func (t tree) partOfKey(f app.Flag) {
	name, value, _ := strings.Cut(f.Value, "=")
	device, amount := f.Value, ""
	if i := strings.LastIndex(f.Value, ":"); i >= 0 {
		device, amount = f.Value[:i], f.Value[i+1:]
	}
	switch f.Name {
	case "ulimit":
		t.ulimit(f.Value)
	case "log-driver":
		t.in("logging")["driver"] = escape(f.Value)
	case "log-opt":
		t.in("logging").in("options")[name] = escape(value)
	case "blkio-weight":
		t.in("blkio_config")["weight"] = number(f.Value)
	case "blkio-weight-device":
		add(t.in("blkio_config"), "weight_device", tree{"path": escape(device), "weight": number(amount)})
	case "device-read-bps", "device-read-iops", "device-write-bps", "device-write-iops":
		add(t.in("blkio_config"), strings.ReplaceAll(f.Name, "-", "_"), tree{"path": escape(device), "rate": amount})
	case "gpus":
		add(t, "gpus", gpuTree(f.Value))
	}
}

// number returns 0 for text that is not a number. App.Check refuses that, or Docker
// does.
func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// ulimit reads "nofile=1024:2048" or "nproc=100".
func (t tree) ulimit(text string) {
	name, limits, _ := strings.Cut(text, "=")
	soft, hard, both := strings.Cut(limits, ":")
	if !both {
		t.in("ulimits")[name] = number(soft)
		return
	}
	t.in("ulimits")[name] = tree{"soft": number(soft), "hard": number(hard)}
}

// gpuTree is the reverse of gpuFields. It leaves out what gpuFields does not write.
func gpuTree(line string) tree {
	t := tree{}
	fields, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil {
		return t
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "device":
			t["device_ids"] = strings.Split(value, ",")
		case "count":
			t["count"] = value
			if n, err := strconv.Atoi(value); err == nil {
				t["count"] = n
			}
		case "driver":
			t["driver"] = escape(value)
		case "capabilities":
			t["capabilities"] = append([]string{"gpu"}, strings.Split(value, ",")...)
		case "options":
			for _, o := range strings.Split(value, ",") {
				key, v, _ := strings.Cut(o, "=")
				t.in("options")[key] = escape(v)
			}
		}
	}
	return t
}
