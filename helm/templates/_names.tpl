{{- define "mozaiks-sidecar.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mozaiks-sidecar.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: sidecar
{{- end -}}

{{- define "mozaiks-sidecar.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "mozaiks-sidecar.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mozaiks-sidecar.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "mozaiks-sidecar.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{/* The ConfigMap with the policies, "" where they are in the image. */}}
{{- define "mozaiks-sidecar.policies" -}}
{{- if eq .Values.policies.source "values" -}}
{{ include "mozaiks-sidecar.name" . }}-policies
{{- else if eq .Values.policies.source "configMap" -}}
{{ required "policies.configMap: name the ConfigMap that has the policies" .Values.policies.configMap }}
{{- end -}}
{{- end -}}

{{/* The directory that they are read from. */}}
{{- define "mozaiks-sidecar.directory" -}}
{{- if eq .Values.policies.source "image" -}}
/etc/sidecar/shipped/{{ .Values.policies.set }}
{{- else -}}
/etc/sidecar/policies
{{- end -}}
{{- end -}}
