package load

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime returns the processor time that all threads of a process have used, in nanoseconds (the
// clock of clock_getcpuclockid(3)).
func CPUTime(pid int) (time.Duration, error) {
	const schedClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// RSS returns the resident memory of a process in bytes (proc_pid_statm(5)).
func RSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	return resident * int64(os.Getpagesize()), nil
}
