package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"gobuildenv.dev/bench/peer/api"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// injector answers reviews of pods that carry the environment label.
type injector struct {
	client.Reader
	dec admission.Decoder
}

// Handle gives the JSONPatch between the pod as sent and the pod with its environment.
func (i *injector) Handle(ctx context.Context, req admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := i.dec.Decode(req, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	name := pod.Labels[labelEnv]
	if name == "" {
		return admission.Allowed("")
	}
	env := &api.GoBuildEnv{}
	if err := i.Get(ctx, types.NamespacedName{Namespace: req.Namespace, Name: name}, env); err != nil {
		if apierrors.IsNotFound(err) {
			return admission.Denied(fmt.Sprintf("label %s: GoBuildEnv %s/%s not found; create it or remove the label", labelEnv, req.Namespace, name))
		}
		return admission.Errored(http.StatusInternalServerError, err)
	}
	rev := env.Status.Revisions.Current
	if env.Status.ObservedGeneration != env.Generation || rev == "" {
		rev = revision(render(&env.Spec))
	}
	inject(pod, envVars(&env.Spec), env.Name+"-"+rev, rev)
	out, err := json.Marshal(pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(req.Object.Raw, out)
}

// inject adds what a container has not set itself.
func inject(pod *corev1.Pod, envs []corev1.EnvVar, configMap, rev string) {
	for c := range pod.Spec.Containers {
		ct := &pod.Spec.Containers[c]
		have := map[string]bool{}
		for _, e := range ct.Env {
			have[e.Name] = true
		}
		for _, e := range envs {
			if !have[e.Name] {
				ct.Env = append(ct.Env, e)
			}
		}
		mounted := false
		for _, m := range ct.VolumeMounts {
			mounted = mounted || m.MountPath == mountPath
		}
		if !mounted {
			ct.VolumeMounts = append(ct.VolumeMounts, corev1.VolumeMount{Name: volumeName, MountPath: mountPath, ReadOnly: true})
		}
	}
	present := false
	for _, v := range pod.Spec.Volumes {
		present = present || v.Name == volumeName
	}
	if !present {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volumeName, VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}}}})
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[annRevision] = rev
}
