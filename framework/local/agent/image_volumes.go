package agent

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"tombolo/framework/local"
)

// The Engine makes a new, nameless volume for each VOLUME of an image and each container. A task may
// ask for volumes with names instead, which the next container of its slot finds again.

// slotVolumes returns what the task says about the volumes of its image; nil: nothing.
func slotVolumes(task mesos.TaskInfo) (*local.SlotVolumes, error) {
	for _, l := range task.GetLabels().GetLabels() {
		if l.Key != local.VolumesLabel {
			continue
		}
		var v local.SlotVolumes
		if err := json.Unmarshal([]byte(l.GetValue()), &v); err != nil || v.Prefix == "" {
			return nil, fmt.Errorf("label %s of the task: %q does not describe volumes", l.Key, l.GetValue())
		}
		return &v, nil
	}
	return nil, nil
}

// nameVolumes returns the task with a mount for each volume of its image that asks for a name.
func (r *runner) nameVolumes(ctx context.Context) (mesos.TaskInfo, error) {
	task := r.Task.Info
	wanted, err := slotVolumes(task)
	if wanted == nil || err != nil {
		return task, err
	}
	targets, err := r.imageVolumes(ctx)
	mounts := mountsOf(*wanted, targets)
	if len(mounts) == 0 || err != nil {
		return task, err
	}
	container, docker := *task.Container, *task.Container.Docker
	docker.Parameters = append(slices.Clone(docker.Parameters), mounts...)
	container.Docker, task.Container = &docker, &container
	return task, nil
}

// imageVolumes returns the paths of the VOLUMEs of the task's image.
func (r *runner) imageVolumes(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectWait)
	defer cancel()
	image := r.Task.Info.GetContainer().GetDocker().GetImage()
	var out bytes.Buffer
	stderr := limitedBuffer{left: stderrLimit}
	exit, err := r.Docker.Run(ctx, Command{
		Args:   append(hostArgs(r.Host), "inspect", "--type=image", "--format={{json .Config.Volumes}}", image),
		Stdout: &out, Stderr: &stderr,
	})
	if err != nil {
		return nil, fmt.Errorf("volumes of image %s: docker inspect: %w", image, err)
	}
	if exit != 0 {
		return nil, fmt.Errorf("volumes of image %s: docker inspect ended with %d: %s", image, exit, stderr.kept.String())
	}
	var volumes map[string]struct{}
	if err := json.NewDecoder(&out).Decode(&volumes); err != nil && err != io.EOF {
		return nil, fmt.Errorf("volumes of image %s: %w", image, err)
	}
	return slices.Sorted(maps.Keys(volumes)), nil
}

// mountsOf returns the mounts for the VOLUMEs of an image at which nothing else is mounted.
func mountsOf(wanted local.SlotVolumes, targets []string) (mounts []mesos.Parameter) {
	taken := map[string]bool{}
	for _, m := range wanted.Mounted {
		taken[path.Clean("/"+m)] = true
	}
	for _, target := range targets {
		target = path.Clean("/" + target)
		if taken[target] {
			continue
		}
		taken[target] = true
		fields := []string{"type=volume", "source=" + wanted.Name(target), "target=" + target}
		for _, name := range slices.Sorted(maps.Keys(wanted.Labels)) {
			fields = append(fields, "volume-label="+name+"="+wanted.Labels[name])
		}
		mounts = append(mounts, mesos.Parameter{Key: "mount", Value: csvLine(fields)})
	}
	return mounts
}

// csvLine returns the fields as docker's --mount reads them.
func csvLine(fields []string) string {
	var line strings.Builder
	w := csv.NewWriter(&line)
	_ = w.Write(fields) // a strings.Builder returns no error
	w.Flush()
	return strings.TrimSuffix(line.String(), "\n")
}
