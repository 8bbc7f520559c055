package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// createCmd creates n objects with c in flight; unless -no-wait, one watch sees each become Ready.
func createCmd(args []string) error {
	f := flag.NewFlagSet("create", flag.ExitOnError)
	n := f.Int("n", 10000, "objects")
	first := f.Int("from", 0, "first index")
	c := f.Int("c", 32, "requests in flight")
	file := f.String("template", "gobuildenv.yaml", "object template")
	resource := f.String("resource", "gobuildenvs", "plural name of the resource")
	limit := f.Duration("timeout", 15*time.Minute, "give up after")
	nowait := f.Bool("no-wait", false, "create only")
	_ = f.Parse(args)

	t, err := readTemplate(*file)
	if err != nil {
		return err
	}
	one, err := t.object(*first)
	if err != nil {
		return err
	}
	cfg, err := config()
	if err != nil {
		return err
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	gvr := one.GroupVersionKind().GroupVersion().WithResource(*resource)
	ri := dyn.Resource(gvr).Namespace(one.GetNamespace())
	ctx, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()

	var seen *readyWatch
	if !*nowait {
		if seen, err = watchReady(ctx, gvr, one.GetNamespace(), t, *first, *n); err != nil {
			return err
		}
	}
	start := time.Now()
	created, errs := createAll(ctx, ri, t, *first, *n, *c)
	r := map[string]any{"n": *n, "create_s": round3(time.Since(start).Seconds()), "errors": errs, "start_unix_ms": start.UnixMilli()}
	if seen != nil {
		if errs > 0 {
			cancel() // what was not created never becomes Ready
		}
		if err := seen.wait(); err != nil {
			r["error"] = err.Error()
		} else {
			lat, last := seen.latencies(created)
			r["all_ready_s"], r["ready"] = round3(last.Sub(start).Seconds()), latencies(lat)
		}
	}
	r["loader_cpu_s"] = round3(ownCPU())
	return emit(r)
}

// createAll gives the time each request was sent and the number that failed. Objects are made as they are
// sent: 100,000 pods would not fit well.
func createAll(ctx context.Context, ri dynamic.ResourceInterface, t template, first, n, inFlight int) ([]time.Time, int64) {
	sent := make([]time.Time, n)
	var next, errs atomic.Int64
	var wg sync.WaitGroup
	for range inFlight {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				u, err := t.object(first + i)
				sent[i] = time.Now()
				if err == nil {
					_, err = ri.Create(ctx, u, metav1.CreateOptions{})
				}
				if err != nil && errs.Add(1) < 4 {
					fmt.Fprintln(os.Stderr, err)
				}
			}
		}()
	}
	wg.Wait()
	return sent, errs.Load()
}
