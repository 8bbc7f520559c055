package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// tally counts what went wrong and prints the first few.
type tally struct{ errors atomic.Int64 }

func (t *tally) add(err error) {
	if t.errors.Add(1) < 4 {
		fmt.Fprintln(os.Stderr, err)
	}
}

// reviewsCmd sends one review n times over keep-alive connections. Without -rate each connection sends the
// next when it has the last answer; with -rate arrivals are scheduled at fixed intervals whatever the answers
// do, and latency counts from the scheduled arrival, so that a stall is charged to everyone it delayed.
func reviewsCmd(args []string) error {
	f := flag.NewFlagSet("reviews", flag.ExitOnError)
	n := f.Int("n", 10000, "reviews")
	warm := f.Int("warm", 500, "reviews before, not counted")
	c := f.Int("c", 16, "connections")
	rate := f.Float64("rate", 0, "arrivals per second; 0: closed loop")
	address := f.String("url", "https://127.0.0.1:9443/mutate-pods", "webhook")
	file := f.String("review", "review.json", "AdmissionReview")
	watch := f.String("watch", "", "processes whose CPU per review is reported: name=pid,…")
	_ = f.Parse(args)

	body, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	hook, err := newWebhook(*address, body)
	if err != nil {
		return err
	}
	procs, err := parseWatched(*watch)
	if err != nil {
		return err
	}
	conns := make([]*connection, *c)
	for i := range conns {
		if conns[i], err = hook.dial(); err != nil {
			return err
		}
		defer conns[i].close()
	}
	first, err := conns[0].ask()
	if err != nil {
		return err
	}
	if _, err := hook.check(first); err != nil {
		return err
	}
	want := bytes.Clone(first)
	t := &tally{}
	one := func(c **connection) {
		b, err := (*c).ask()
		if err == nil && !bytes.Equal(b, want) {
			_, err = hook.check(b)
		}
		if err == nil {
			return
		}
		t.add(err)
		(*c).close()
		if fresh, err := hook.dial(); err == nil {
			*c = fresh
		}
	}
	closedLoop(conns, *warm, one)
	if warmErrors := t.errors.Load(); warmErrors > 0 {
		return fmt.Errorf("%d of %d warm-up reviews failed", warmErrors, *warm)
	}
	// The client's own garbage collection would be charged to the server's tail.
	debug.SetMemoryLimit(2 << 30)
	debug.SetGCPercent(-1)
	before, err := procs.cpu()
	if err != nil {
		return err
	}
	start := time.Now()
	var lat []float64
	if *rate > 0 {
		lat = openLoop(conns, *n, *rate, one)
	} else {
		lat = closedLoop(conns, *n, one)
	}
	took := time.Since(start)
	after, err := procs.cpu()
	if err != nil {
		return err
	}
	r := latencies(lat)
	r["c"], r["rps"], r["errors"] = *c, round3(float64(*n)/took.Seconds()), t.errors.Load()
	r["request_bytes"], r["answer_bytes"] = len(body), len(want)
	for k, v := range after {
		r[k+"_cpu_us_per_review"] = round3((v - before[k]) * 1e6 / float64(*n))
	}
	return emit(r)
}

// closedLoop sends n reviews as fast as answers come and gives the service times in ms.
func closedLoop(conns []*connection, n int, one func(**connection)) []float64 {
	lat := make([]float64, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for k := int(next.Add(1)) - 1; k < n; k = int(next.Add(1)) - 1 {
				start := time.Now()
				one(&conns[i])
				lat[k] = ms(time.Since(start))
			}
		}()
	}
	wg.Wait()
	return lat
}

// openLoop sends n reviews at fixed intervals and gives the times from scheduled arrival to answer in ms. The
// connections take turns, and each waits for its own arrivals: handing them from one goroutine to another would
// put the client's wake-ups into every latency.
func openLoop(conns []*connection, n int, rate float64, one func(**connection)) []float64 {
	lat := make([]float64, n)
	start := time.Now().Add(50 * time.Millisecond)
	at := func(k int) time.Time { return start.Add(time.Duration(float64(k) / rate * float64(time.Second))) }
	var wg sync.WaitGroup
	for i := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for k := i; k < n; k += len(conns) {
				sleepUntil(at(k))
				one(&conns[i])
				lat[k] = ms(time.Since(at(k)))
			}
		}()
	}
	wg.Wait()
	return lat
}

// sleepUntil sleeps in the kernel, to the microsecond: the runtime's timers are rounded up to a millisecond when it
// is idle, and the kernel's own to 50 µs unless a thread says otherwise.
func sleepUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0)
		ts := syscall.NsecToTimespec(d.Nanoseconds())
		_ = syscall.Nanosleep(&ts, nil)
	}
}

const prSetTimerSlack = 29 // prctl(2); the value that follows is in nanoseconds
