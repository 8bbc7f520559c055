package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTicks is USER_HZ, the unit of the CPU times in /proc/PID/stat on Linux.
const clockTicks = 100

// emit prints one JSON line.
func emit(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = fmt.Println(string(b))
	}
	return err
}

// percentile is the nearest-rank percentile of sorted values; p is in 0..1.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(p*float64(len(sorted)))) - 1
	return sorted[max(0, min(i, len(sorted)-1))]
}

// round3 keeps three decimals.
func round3(x float64) float64 { return math.Round(x*1000) / 1000 }

// ms is a duration in milliseconds.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// latencies summarises values in milliseconds; it sorts them.
func latencies(v []float64) map[string]any {
	slices.Sort(v)
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return map[string]any{
		"n": len(v), "mean_ms": round3(sum / float64(max(1, len(v)))), "p50_ms": round3(percentile(v, .5)),
		"p90_ms": round3(percentile(v, .9)), "p99_ms": round3(percentile(v, .99)), "max_ms": round3(percentile(v, 1)),
	}
}

// ownCPU is the CPU time of this process in seconds.
func ownCPU() float64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

// processCPU is the CPU time of a process in seconds, in steps of 10 ms.
func processCPU(pid int) (float64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The command name, in parentheses, may hold blanks; fields count from after it.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, err := strconv.ParseFloat(f[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(f[12], 64)
	return (user + system) / clockTicks, err
}

// watched are processes named on the command line as "name=pid,name=pid".
type watched map[string]int

func parseWatched(s string) (watched, error) {
	w := watched{}
	for _, kv := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		name, pid, _ := strings.Cut(kv, "=")
		p, err := strconv.Atoi(pid)
		if err != nil {
			return nil, fmt.Errorf("-watch %q: want name=pid", kv)
		}
		w[name] = p
	}
	return w, nil
}

// cpu reads all of them.
func (w watched) cpu() (map[string]float64, error) {
	m := map[string]float64{}
	for name, pid := range w {
		c, err := processCPU(pid)
		if err != nil {
			return nil, err
		}
		m[name] = c
	}
	return m, nil
}
