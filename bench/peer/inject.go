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
	inject(pod, envVars(&env.Spec), condaPrefix(&env.Spec), env.Name, env.Name+"-"+rev, rev)
	out, err := json.Marshal(pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(req.Object.Raw, out)
}

// mounts are the same six that our webhook adds: the files, three caches and the two conda hooks.
func mounts(prefix string) []corev1.VolumeMount {
	hook := func(dir, key string) corev1.VolumeMount {
		return corev1.VolumeMount{Name: volumeName + "-files", MountPath: prefix + "/etc/conda/" + dir + "/zzz-gobuildenv.sh", SubPath: key, ReadOnly: true}
	}
	return []corev1.VolumeMount{
		{Name: volumeName + "-files", MountPath: mountPath, ReadOnly: true},
		{Name: volumeName + "-modcache", MountPath: cacheDir + "/mod"},
		{Name: volumeName + "-buildcache", MountPath: cacheDir + "/build"},
		{Name: volumeName + "-work", MountPath: cacheDir + "/work"},
		hook("activate.d", "activate.sh"), hook("deactivate.d", "deactivate.sh"),
	}
}

// inject adds what a container has not set itself: the same variables, mounts, volumes, label and annotations
// as our webhook, so that both answer with a patch of the same content.
func inject(pod *corev1.Pod, envs []corev1.EnvVar, prefix, env, configMap, rev string) {
	changed := ""
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
		taken := map[string]bool{}
		for _, m := range ct.VolumeMounts {
			taken[m.MountPath] = true
		}
		for _, m := range mounts(prefix) {
			if !taken[m.MountPath] {
				ct.VolumeMounts = append(ct.VolumeMounts, m)
			}
		}
		if changed != "" {
			changed += ","
		}
		changed += ct.Name
	}
	present := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		present[v.Name] = true
	}
	add := func(name string, source corev1.VolumeSource) {
		if !present[name] {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
		}
	}
	mode := int32(0o555)
	add(volumeName+"-files", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: configMap}, DefaultMode: &mode}})
	for _, cache := range []string{"modcache", "buildcache", "work"} {
		add(volumeName+"-"+cache, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[annRevision] = rev
	pod.Annotations["gobuildenv.dev/environment"] = env
	pod.Annotations["gobuildenv.dev/containers"] = changed
	pod.Labels[annRevision] = rev
}
