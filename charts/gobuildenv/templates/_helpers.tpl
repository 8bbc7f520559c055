{{/* Name of every object: the release's, with the chart's in it. */}}
{{- define "gobuildenv.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gobuildenv.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: manager
{{- end -}}

{{- define "gobuildenv.labels" -}}
{{ include "gobuildenv.selectorLabels" . }}
{{ include "gobuildenv.commonLabels" . }}
{{- end -}}

{{- define "gobuildenv.commonLabels" -}}
app.kubernetes.io/part-of: {{ .Chart.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "gobuildenv.agentSelectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: agent
{{- end -}}

{{- define "gobuildenv.agentLabels" -}}
{{ include "gobuildenv.agentSelectorLabels" . }}
{{ include "gobuildenv.commonLabels" . }}
{{- end -}}

{{/* "key[=value]:Effect" without the value and the effect. */}}
{{- define "gobuildenv.startupTaintKey" -}}
{{- regexReplaceAll "[=:].*$" .Values.agent.startupTaint "" -}}
{{- end -}}

{{- define "gobuildenv.serviceAccountName" -}}
{{- default (include "gobuildenv.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "gobuildenv.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "gobuildenv.certSecret" -}}
{{ include "gobuildenv.fullname" . }}-webhook-cert
{{- end -}}

{{- define "gobuildenv.webhookService" -}}
{{ include "gobuildenv.fullname" . }}-webhook
{{- end -}}

{{- define "gobuildenv.selfManaged" -}}
{{- if eq .Values.webhook.certificates.mode "self-managed" -}}true{{- end -}}
{{- end -}}

{{/* Not empty when the module proxies have a private CA. */}}
{{- define "gobuildenv.moduleProxyCA" -}}
{{- if or .Values.manager.moduleProxyCA.configMapKeyRef .Values.manager.moduleProxyCA.secretKeyRef -}}true{{- end -}}
{{- end -}}

{{/* The volume that holds it. */}}
{{- define "gobuildenv.moduleProxyCAVolume" -}}
{{- if include "gobuildenv.moduleProxyCA" . -}}
- name: module-proxy-ca
  {{- with .Values.manager.moduleProxyCA.configMapKeyRef }}
  configMap:
    name: {{ .name }}
    items: [{key: {{ .key | quote }}, path: ca.crt}]
  {{- end }}
  {{- with .Values.manager.moduleProxyCA.secretKeyRef }}
  secret:
    secretName: {{ .name }}
    items: [{key: {{ .key | quote }}, path: ca.crt}]
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Argo CD applies in waves: CRDs -2, rights and webhooks -1, the Deployment 0. */}}
{{- define "gobuildenv.wave" -}}
argocd.argoproj.io/sync-wave: {{ . | quote }}
{{- end -}}

{{/* Namespaces that no webhook acts in: its own, or it could not start. */}}
{{- define "gobuildenv.excludedNamespaces" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values:
  {{- range concat (list "kube-system" .Release.Namespace) .Values.webhook.excludedNamespaces | uniq }}
  - {{ . }}
  {{- end }}
{{- end -}}

{{/* What the three pod webhooks have in common. */}}
{{- define "gobuildenv.podWebhook" -}}
admissionReviewVersions: [v1]
clientConfig:
  service:
    name: {{ include "gobuildenv.webhookService" . }}
    namespace: {{ .Release.Namespace }}
    path: /mutate-pods
    port: 443
matchConditions:
- name: not-a-mirror-pod
  expression: "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)"
matchPolicy: Equivalent
reinvocationPolicy: IfNeeded
rules:
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE]
  resources: [pods]
  scope: Namespaced
sideEffects: None
timeoutSeconds: {{ .Values.webhook.timeoutSeconds }}
{{- end -}}

{{/* Of what exists only while the release is being uninstalled. */}}
{{- define "gobuildenv.uninstallMeta" }}
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/component: uninstall
    {{- include "gobuildenv.commonLabels" . | nindent 4 }}
  annotations:
    helm.sh/hook: pre-delete
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
