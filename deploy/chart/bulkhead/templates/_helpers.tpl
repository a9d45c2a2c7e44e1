{{- define "bulkhead.selector" -}}
app.kubernetes.io/name: bulkhead
app.kubernetes.io/component: agent
{{- end }}

{{- define "bulkhead.labels" -}}
app.kubernetes.io/name: bulkhead
app.kubernetes.io/part-of: bulkhead
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/*
Of every container; `rights` are its capabilities. NET_ADMIN is all that nftables, NFLOG and conntrack ask for. Root,
because a container's capabilities are in force for no other user; without any it can do what files of root's let it.
*/}}
{{- define "bulkhead.container" -}}
{{- $image := .root.Values.image -}}
image: {{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
imagePullPolicy: {{ $image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  runAsUser: 0
  runAsGroup: 0
  capabilities:
    drop: [ALL]
    {{- with .rights }}
    add: {{ toJson . }}
    {{- end }}
resources:
  {{- toYaml .root.Values.resources | nindent 2 }}
{{- end }}

{{- define "bulkhead.cniMounts" -}}
- name: cni-bin
  mountPath: /host{{ .Values.cni.binDir }}
- name: cni-conf
  mountPath: /host{{ .Values.cni.confDir }}
{{- end }}

{{/* What says which rules and marks are Bulkhead's: of the agent and of what removes them. */}}
{{- define "bulkhead.kernelArgs" -}}
{{- with .Values.markMask }}
- --mark-mask={{ . }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "bulkhead.cniUninstall" -}}
- name: cni-uninstall
  {{- include "bulkhead.container" (dict "root" . "rights" list) | nindent 2 }}
  args: [cni, uninstall, --bin-dir=/host{{ .Values.cni.binDir }}, --conf-dir=/host{{ .Values.cni.confDir }}]
  volumeMounts:
    {{- include "bulkhead.cniMounts" . | nindent 4 }}
{{- end }}

{{/* A plugin that stays on the nodes without an agent that answers lets no pod start. Seen where Helm can ask the cluster. */}}
{{- define "bulkhead.checkCni" -}}
{{- if and .Values.cni.enabled .Values.cni.remove (not .Values.uninstall) }}
{{- fail "cni.enabled and cni.remove: one or the other" }}
{{- end }}
{{- if not (or .Values.cni.enabled .Values.cni.remove) }}
{{- $before := lookup "apps/v1" "DaemonSet" .Release.Namespace "bulkhead" }}
{{- $status := dig "status" dict $before }}
{{- $isSeen := eq (dig "observedGeneration" 0 $status | int64) (dig "metadata" "generation" 0 $before | int64) }}
{{- $isDone := and $isSeen (eq (dig "updatedNumberScheduled" 0 $status | int64) (dig "desiredNumberScheduled" 0 $status | int64)) }}
{{- range dig "spec" "template" "spec" "initContainers" list $before }}
{{- if eq .name "cni-install" }}
{{- fail "the CNI plugin is on the nodes, and without an agent that answers it no pod would start there: set cni.remove=true, which takes it away" }}
{{- else if and (eq .name "cni-uninstall") (not $isDone) }}
{{- fail "the CNI plugin is still on some nodes, and without an agent that answers it no pod would start there: wait until the roll-out is done" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
