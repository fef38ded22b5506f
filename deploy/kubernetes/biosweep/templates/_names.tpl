{{/* Names, labels and images. */}}

{{- define "biosweep.fullname" -}}
{{- if contains "biosweep" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-biosweep" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "biosweep.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "biosweep.selector" . }}
{{- end -}}

{{- define "biosweep.selector" -}}
app.kubernetes.io/name: biosweep
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The image of a program: (dict "root" $ "name" "biosweep"). */}}
{{- define "biosweep.image" -}}
{{- $image := .root.Values.image -}}
{{- $name := printf "%s:%s" .name ($image.tag | default .root.Chart.AppVersion) -}}
{{- if $image.registry }}{{ trimSuffix "/" $image.registry }}/{{ end }}{{ $name }}
{{- end -}}

{{/* The names of the coordinator inside of the cluster. KEDA checks that the certificate has one of them. */}}
{{- define "biosweep.hosts" -}}
{{- $name := include "biosweep.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{- list $name (printf "%s.%s" $name $namespace) (printf "%s.%s.svc" $name $namespace) (printf "%s.%s.svc.cluster.local" $name $namespace) | toJson -}}
{{- end -}}

{{/* Whether KEDA sizes a pool; empty if not. */}}
{{- define "biosweep.usesKeda" -}}
{{- range .Values.pools }}
{{- if hasPrefix "Scaled" ((. | default dict).kind | default $.Values.poolDefaults.kind) }}yes{{ end }}
{{- end }}
{{- end -}}
