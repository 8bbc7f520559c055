package main

import (
	"context"
	"fmt"

	"gobuildenv.dev/bench/peer/api"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// reconciler turns a GoBuildEnv into an immutable ConfigMap and a Ready status.
type reconciler struct {
	client.Client
	// create writes ConfigMaps by POST instead of server-side apply.
	create bool
}

// current says whether the cache already holds the ConfigMap of this revision under this owner. Its data
// is immutable, so name (content hash), owner and annotation are enough.
func (r *reconciler) current(ctx context.Context, env *api.GoBuildEnv, name, rev string) (bool, error) {
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	if err := r.Get(ctx, types.NamespacedName{Namespace: env.Namespace, Name: name}, obj); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return metav1.IsControlledBy(obj, env) && obj.GetAnnotations()[annRevision] == rev, nil
}

// Reconcile makes one ConfigMap write and one status write for a new spec, and none when nothing changed.
func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	env := &api.GoBuildEnv{}
	if err := r.Get(ctx, req.NamespacedName, env); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !env.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	data := render(&env.Spec)
	rev := revision(data)
	name := env.Name + "-" + rev
	ok, err := r.current(ctx, env, name, rev)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !ok {
		if err := r.write(ctx, env, name, rev, data); err != nil {
			return ctrl.Result{}, fmt.Errorf("write ConfigMap %s: %w", name, err)
		}
	}
	old := env.DeepCopy()
	env.Status.ObservedGeneration = env.Generation
	env.Status.Revisions = api.Revisions{Current: rev, Updated: rev}
	changed := meta.SetStatusCondition(&env.Status.Conditions, metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue,
		ObservedGeneration: env.Generation, Reason: "Rendered", Message: "ConfigMap " + name + " holds this revision"})
	if !changed && old.Status.ObservedGeneration == env.Generation && old.Status.Revisions == env.Status.Revisions {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, r.Status().Patch(ctx, env, client.MergeFrom(old), client.FieldOwner(fieldManager))
}

func (r *reconciler) write(ctx context.Context, env *api.GoBuildEnv, name, rev string, data map[string]string) error {
	labels := map[string]string{managedByLabel: fieldManager, labelEnv: env.Name}
	annotations := map[string]string{annRevision: rev}
	if r.create {
		immutable := true
		err := r.Create(ctx, &corev1.ConfigMap{Immutable: &immutable, Data: data,
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: env.Namespace, Labels: labels, Annotations: annotations,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(env, api.GroupVersion.WithKind("GoBuildEnv"))}},
		}, client.FieldOwner(fieldManager))
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	return r.Apply(ctx, corev1ac.ConfigMap(name, env.Namespace).WithImmutable(true).WithData(data).
		WithLabels(labels).WithAnnotations(annotations).
		WithOwnerReferences(metav1ac.OwnerReference().WithAPIVersion(api.GroupVersion.String()).WithKind("GoBuildEnv").
			WithName(env.Name).WithUID(env.UID).WithController(true).WithBlockOwnerDeletion(true)),
		client.FieldOwner(fieldManager), client.ForceOwnership)
}
