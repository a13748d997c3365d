package compose

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"tombolo/framework/app"
)

func (t tree) deploy(s *app.Service) {
	deploy := tree{}
	if s.Global {
		deploy["mode"] = "global"
	} else if s.Replicas != 1 {
		deploy["replicas"] = s.Replicas
	}
	limits, reservations := tree{}, tree{}
	set(limits, "cpus", decimal(s.Resources.CPULimit))
	set(limits, "memory", integer(s.Resources.MemLimit))
	set(limits, "pids", s.Resources.PIDsLimit)
	set(reservations, "cpus", decimal(s.Resources.CPUs))
	set(reservations, "memory", integer(s.Resources.MemBytes))
	resources := tree{}
	resources.below("limits", limits)
	resources.below("reservations", reservations)
	deploy.below("resources", resources)
	var constraints []string
	for _, c := range s.Constraints {
		attribute := "node.labels." + c.Attribute
		if c.Attribute == "hostname" {
			attribute = "node.hostname"
		}
		constraints = append(constraints, attribute+" "+c.Op+" "+c.Value)
	}
	placement := tree{}
	placement.list("constraints", constraints)
	deploy.below("placement", placement)
	t.restart(s.Restart, deploy)
	t.below("deploy", deploy)
}

// into is the short restart where that says all.
func (t tree) restart(r app.Restart, deploy tree) {
	if r.Delay == 0 && r.Window == 0 && (r.MaxAttempts == 0 || r.Condition == app.RestartOnFailure) {
		word := map[string]string{app.RestartNone: "no", app.RestartAny: "always", app.RestartOnFailure: "on-failure"}[r.Condition]
		if r.MaxAttempts > 0 {
			word += ":" + strconv.Itoa(r.MaxAttempts)
		}
		t["restart"] = word
		return
	}
	policy := tree{"condition": r.Condition}
	set(policy, "max_attempts", r.MaxAttempts)
	policy.duration("delay", r.Delay)
	policy.duration("window", r.Window)
	deploy["restart_policy"] = policy
}

func decimal(f float64) string {
	if f == 0 {
		return ""
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func integer(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func buildTree(b *app.Build) tree {
	t := tree{}
	set(t, "context", escape(b.Context))
	set(t, "dockerfile_inline", escape(b.Inline))
	set(t, "dockerfile", escape(b.Dockerfile))
	set(t, "target", b.Target)
	set(t, "no_cache", b.NoCache)
	set(t, "network", b.Network)
	t.pairs("args", b.Args)
	t.pairs("labels", b.Labels)
	for _, f := range b.Flags {
		switch f.Name {
		case "cache-from", "tag", "add-host", "platform":
			key := map[string]string{"cache-from": "cache_from", "tag": "tags", "add-host": "extra_hosts", "platform": "platforms"}[f.Name]
			t.append(key, escape(f.Value))
		case "pull":
			t["pull"] = true
		case "shm-size":
			t["shm_size"] = f.Value
		case "ulimit":
			t.ulimit(f.Value)
		}
	}
	return t
}

func (t tree) append(key, value string) {
	list, _ := t[key].([]string)
	t[key] = append(list, value)
}

// in is the mapping at key, made where there is none.
func (t tree) in(key string) tree {
	below, ok := t[key].(tree)
	if !ok {
		below = tree{}
		t[key] = below
	}
	return below
}

// flagTree undoes docker: it says Docker's flags in Compose's words.
func (t tree) flags(s *app.Service) {
	for _, f := range s.Docker {
		form, _ := app.FormOf(f.Name)
		name, value, _ := strings.Cut(f.Value, "=")
		switch {
		case form.Key == "":
			t.specialFlag(f)
		case form.Kind == app.FlagList, form.Kind == app.FlagAddr:
			t.append(form.Key, escape(f.Value))
		case form.Kind == app.FlagPair:
			t.in(form.Key)[name] = escape(value)
		case form.Kind == app.FlagBool:
			t[form.Key] = f.Value == "true"
		case form.Kind == app.FlagInt:
			n, _ := strconv.ParseInt(f.Value, 10, 64) // check has seen that it is one
			t[form.Key] = n
		default:
			t[form.Key] = escape(f.Value)
		}
	}
}

// specialFlag is for flags that are a part of what a key says.
func (t tree) specialFlag(f app.Flag) {
	device, amount, _ := cutLast(f.Value, ":")
	switch f.Name {
	case "ulimit":
		t.ulimit(f.Value)
	case "log-driver":
		t.in("logging")["driver"] = escape(f.Value)
	case "log-opt":
		name, value, _ := strings.Cut(f.Value, "=")
		t.in("logging").in("options")[name] = escape(value)
	case "blkio-weight":
		n, _ := strconv.Atoi(f.Value) // check has seen that it is one
		t.in("blkio_config")["weight"] = n
	case "blkio-weight-device":
		n, _ := strconv.Atoi(amount) // Docker refuses what is none
		t.in("blkio_config").add("weight_device", tree{"path": escape(device), "weight": n})
	case "device-read-bps", "device-read-iops", "device-write-bps", "device-write-iops":
		t.in("blkio_config").add(strings.ReplaceAll(f.Name, "-", "_"), tree{"path": escape(device), "rate": amount})
	case "gpus":
		t.add("gpus", gpuTree(f.Value))
	}
}

func (t tree) add(key string, item tree) {
	list, _ := t[key].([]tree)
	t[key] = append(list, item)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// ulimit is "nofile=1024:2048" or "nproc=100".
func (t tree) ulimit(text string) {
	name, limits, _ := strings.Cut(text, "=")
	soft, hard, both := strings.Cut(limits, ":")
	low, _ := strconv.Atoi(soft) // Docker refuses what is none
	if !both {
		t.in("ulimits")[name] = low
		return
	}
	high, _ := strconv.Atoi(hard)
	t.in("ulimits")[name] = tree{"soft": low, "hard": high}
}

// gpuTree reads a line that gpus wrote. One that something else wrote is left out.
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
				t.in("options")[key] = escape(fmt.Sprint(v))
			}
		}
	}
	return t
}
