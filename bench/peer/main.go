// The peer of the benchmarks: GoBuildEnv -> immutable ConfigMap + status, and pod injection, written the
// usual way in Go with controller-runtime. It never deletes superseded ConfigMaps and emits no Events of its own.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"os"

	"gobuildenv.dev/bench/peer/api"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// options are the command line; the kubeconfig comes by --kubeconfig, which controller-runtime registers.
type options struct {
	workers   int
	certs     string
	port      int
	elect     bool
	create    bool
	cachePods bool
}

func parse() options {
	var o options
	flag.IntVar(&o.workers, "max-concurrent-reconciles", 4, "reconcile workers")
	flag.StringVar(&o.certs, "certs", "", "directory with tls.crt and tls.key")
	flag.IntVar(&o.port, "port", 9443, "webhook port, on 127.0.0.1")
	flag.BoolVar(&o.elect, "leader-elect", false, "leader election (Lease in namespace bench)")
	flag.BoolVar(&o.create, "create", false, "write ConfigMaps by POST instead of server-side apply")
	flag.BoolVar(&o.cachePods, "cache-pods", false, "keep the metadata of labelled pods in the cache")
	flag.Parse()
	return o
}

func podMetadata() *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	return m
}

func newManager(o options) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := api.AddToScheme(scheme); err != nil {
		return nil, err
	}
	asked, err := labels.Parse(labelEnv)
	if err != nil {
		return nil, err
	}
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	priority := true
	return ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       server.Options{BindAddress: "127.0.0.1:0"},
		HealthProbeBindAddress:        "127.0.0.1:0",
		LeaderElection:                o.elect,
		LeaderElectionID:              "gobuildenv-peer",
		LeaderElectionNamespace:       "bench",
		LeaderElectionReleaseOnCancel: true,
		Controller:                    config.Controller{UsePriorityQueue: &priority},
		Cache: cache.Options{DefaultTransform: cache.TransformStripManagedFields(), ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}: {Label: labels.SelectorFromSet(labels.Set{managedByLabel: fieldManager})},
			podMetadata():       {Label: asked},
		}},
		WebhookServer: webhook.NewServer(webhook.Options{Port: o.port, CertDir: o.certs, Host: "127.0.0.1",
			// Both sides speak HTTP/1.1, so that the client's choice of protocol decides nothing.
			TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}}),
	})
}

func setup(ctx context.Context, mgr manager.Manager, o options) error {
	// The webhook needs the informer on every replica, also before this one leads.
	if _, err := mgr.GetCache().GetInformer(ctx, &api.GoBuildEnv{}, cache.BlockUntilSynced(false)); err != nil {
		return err
	}
	if o.cachePods {
		if _, err := mgr.GetCache().GetInformer(ctx, podMetadata(), cache.BlockUntilSynced(false)); err != nil {
			return err
		}
	}
	// The owner is queued by its own events; of its ConfigMaps only change and loss matter.
	notCreated := builder.WithPredicates(predicate.Funcs{CreateFunc: func(event.CreateEvent) bool { return false }})
	err := ctrl.NewControllerManagedBy(mgr).
		For(&api.GoBuildEnv{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&corev1.ConfigMap{}, notCreated, builder.OnlyMetadata).
		WithOptions(controller.Options{MaxConcurrentReconciles: o.workers}).
		Complete(&reconciler{Client: mgr.GetClient(), create: o.create})
	if err != nil {
		return err
	}
	mgr.GetWebhookServer().Register("/mutate-pods", &webhook.Admission{Handler: &injector{mgr.GetCache(), admission.NewDecoder(mgr.GetScheme())}})
	return nil
}

func run() error {
	o := parse()
	ctrl.SetLogger(zap.New())
	ctx := ctrl.SetupSignalHandler()
	mgr, err := newManager(o)
	if err != nil {
		return err
	}
	if err := setup(ctx, mgr, o); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}
