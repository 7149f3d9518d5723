{{/*
What a pod is made of: `mozaiks-sidecar.container` for the shared deployment,
`mozaiks-sidecar.native` for the initContainers of a parent's pod, `mozaiks-sidecar.volumes` for
both. A parent hands over the scope of this chart:

  initContainers:
    {{- include "mozaiks-sidecar.native" (index .Subcharts "mozaiks-sidecar") | nindent 4 }}
  volumes:
    {{- include "mozaiks-sidecar.volumes" (index .Subcharts "mozaiks-sidecar") | nindent 4 }}
*/}}

{{- define "mozaiks-sidecar.security" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "mozaiks-sidecar.env" -}}
- {name: MOZAIKS_MODE, value: {{ .Values.mode | quote }}}
{{- with .Values.enforceQuotas }}
- {name: MOZAIKS_ENFORCE_QUOTAS, value: {{ . | quote }}}
{{- end }}
- {name: SIDECAR_POLICIES, value: {{ include "mozaiks-sidecar.directory" . | quote }}}
{{- if .Values.policies.shadow }}
- {name: SIDECAR_SHADOW_POLICIES, value: /etc/sidecar/shadow}
{{- end }}
{{- if .Values.prices }}
- {name: SIDECAR_PRICES, value: /etc/sidecar/prices/prices.yaml}
{{- end }}
{{- if eq .Values.store.kind "sqlite" }}
- {name: SIDECAR_STORE, value: "sqlite:////var/lib/sidecar/sidecar.db"}
{{- else if .Values.store.redis.trial.enabled }}
- {name: SIDECAR_STORE, value: "redis://{{ include "mozaiks-sidecar.name" . }}-redis:6379/0"}
{{- else }}
- name: SIDECAR_STORE
  valueFrom:
    secretKeyRef:
      name: {{ required "store: say where usage is counted: store.redis.secret.name (a secret with the URL), store.redis.trial.enabled=true to try it out, or store.kind=sqlite for one replica" .Values.store.redis.secret.name }}
      key: {{ .Values.store.redis.secret.key }}
{{- end }}
- {name: SIDECAR_STORE_TIMEOUT_MS, value: {{ .Values.store.timeoutMs | quote }}}
{{- /* In a runtime's pod it is told to end when all that asked it has ended. */}}
- {name: SIDECAR_DRAIN_S, value: {{ ternary "0" (.Values.drain.seconds | toString) (eq .Values.topology "sidecar") | quote }}}
{{- if .Values.keys.secret }}
{{- range $variable, $key := dict "SIDECAR_RUNTIME_KEYS" .Values.keys.runtime "INTERNAL_API_KEY" .Values.keys.internal "SIDECAR_READ_KEYS" .Values.keys.read }}
{{- /* Not optional: a misspelled one would leave a pod's own server without any key. */}}
{{- if $key }}
- name: {{ $variable }}
  valueFrom: {secretKeyRef: {name: {{ $.Values.keys.secret }}, key: {{ $key }}}}
{{- end }}
{{- end }}
{{- if not (or .Values.keys.runtime .Values.keys.internal) }}
{{- fail "keys.runtime, keys.internal: one of them at least, or nobody may ask" }}
{{- end }}
{{- else if .Values.keys.insecure }}
- {name: SIDECAR_INSECURE, value: "true"}
{{- else if eq .Values.topology "deployment" }}
{{- fail "keys.secret: name the secret with the keys of callers, or set keys.insecure=true to try it out" }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- if regexMatch "(_KEYS?|_SECRET|_PASSWORD|_TOKEN)$" $name }}
{{- fail (printf "settings.%s: a secret does not stand in values; name the secret that has it in %s" $name (ternary "keys" "secretSettings" (has $name (list "INTERNAL_API_KEY" "SIDECAR_RUNTIME_KEYS" "SIDECAR_READ_KEYS")))) }}
{{- end }}
{{- include "mozaiks-sidecar.unowned" (list "settings" $name) }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- range $name, $from := .Values.secretSettings }}
{{- include "mozaiks-sidecar.unowned" (list "secretSettings" $name) }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $from.name }}, key: {{ $from.key }}}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Refuses what a value of its own says: of two in one environment nobody knows which holds. */}}
{{- define "mozaiks-sidecar.unowned" -}}
{{- $owned := dict "MOZAIKS_MODE" "mode" "MOZAIKS_ENFORCE_QUOTAS" "enforceQuotas" "SIDECAR_POLICIES" "policies" "SIDECAR_SHADOW_POLICIES" "policies.shadow" "SIDECAR_PRICES" "prices" "SIDECAR_STORE" "store" "SIDECAR_STORE_TIMEOUT_MS" "store.timeoutMs" "SIDECAR_DRAIN_S" "drain.seconds" "SIDECAR_INSECURE" "keys.insecure" "INTERNAL_API_KEY" "keys" "SIDECAR_RUNTIME_KEYS" "keys" "SIDECAR_READ_KEYS" "keys" -}}
{{- with get $owned (index . 1) -}}
{{- fail (printf "%s.%s: say it in %s" (index $ 0) (index $ 1) .) -}}
{{- end -}}
{{- end -}}

{{- define "mozaiks-sidecar.mounts" -}}
- {name: sidecar-data, mountPath: /var/lib/sidecar}
- {name: sidecar-tmp, mountPath: /tmp}
{{- if include "mozaiks-sidecar.policies" . }}
- {name: sidecar-policies, mountPath: /etc/sidecar/policies, readOnly: true}
{{- end }}
{{- if .Values.policies.shadow }}
- {name: sidecar-shadow, mountPath: /etc/sidecar/shadow, readOnly: true}
{{- end }}
{{- if .Values.prices }}
- {name: sidecar-prices, mountPath: /etc/sidecar/prices, readOnly: true}
{{- end }}
{{- if .Values.store.redis.certificates }}
- {name: sidecar-redis, mountPath: /etc/sidecar/redis, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "mozaiks-sidecar.volumes" -}}
{{- if and (eq .Values.store.kind "sqlite") (eq .Values.topology "deployment") }}
- {name: sidecar-data, persistentVolumeClaim: {claimName: {{ include "mozaiks-sidecar.name" . }}}}
{{- else }}
- {name: sidecar-data, emptyDir: {}}
{{- end }}
- {name: sidecar-tmp, emptyDir: {}}
{{- if and (eq .Values.topology "sidecar") .Values.sidecar.socket }}
- {name: sidecar-run, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
{{- end }}
{{- with include "mozaiks-sidecar.policies" . }}
- {name: sidecar-policies, configMap: {name: {{ . }}}}
{{- end }}
{{- with .Values.policies.shadow }}
- {name: sidecar-shadow, configMap: {name: {{ . }}}}
{{- end }}
{{- with .Values.prices }}
- {name: sidecar-prices, configMap: {name: {{ . }}}}
{{- end }}
{{- with .Values.store.redis.certificates }}
- {name: sidecar-redis, secret: {secretName: {{ . }}}}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "mozaiks-sidecar.container" -}}
- name: sidecar
  image: {{ include "mozaiks-sidecar.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [serve, --host, 0.0.0.0, --port, "8377", --workers, {{ .Values.workers | quote }}, --log-format, {{ .Values.logFormat }}]
  ports: [{name: http, containerPort: 8377}]
  env:
    {{- include "mozaiks-sidecar.env" . | nindent 4 }}
  startupProbe:
    httpGet: {path: /healthz, port: http}
    periodSeconds: 1
    failureThreshold: 60
  livenessProbe:
    httpGet: {path: /healthz, port: http}
    periodSeconds: 10
    timeoutSeconds: 3
  readinessProbe:
    httpGet: {path: /readyz, port: http}
    periodSeconds: 2
    timeoutSeconds: 2
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    {{- include "mozaiks-sidecar.security" . | nindent 4 }}
  volumeMounts:
    {{- include "mozaiks-sidecar.mounts" . | nindent 4 }}
{{- end -}}

{{/* A native sidecar: it begins before the containers of the pod and ends after them. */}}
{{- define "mozaiks-sidecar.native" -}}
{{- if ne .Values.topology "sidecar" }}
{{- fail "topology: a pod of another chart has the container; set topology=sidecar" }}
{{- end }}
{{- $socket := .Values.sidecar.socket -}}
{{- $base := ternary (printf "unix://%s:" $socket) "http://127.0.0.1:8377" (ne $socket "") -}}
- name: sidecar
  restartPolicy: Always
  image: {{ include "mozaiks-sidecar.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- if $socket }}
  args: [serve, --uds, {{ $socket | quote }}, --uds-mode, {{ .Values.sidecar.socketMode | quote }}, --workers, {{ .Values.workers | quote }}, --log-format, {{ .Values.logFormat }}]
  {{- else }}
  args: [serve, --host, 127.0.0.1, --port, "8377", --workers, {{ .Values.workers | quote }}, --log-format, {{ .Values.logFormat }}]
  {{- end }}
  env:
    {{- include "mozaiks-sidecar.env" . | nindent 4 }}
  startupProbe:
    exec: {command: [python, -m, sidecar.alive, "{{ $base }}/healthz"]}
    periodSeconds: 1
    timeoutSeconds: 3
    failureThreshold: 60
  livenessProbe:
    exec: {command: [python, -m, sidecar.alive, "{{ $base }}/healthz"]}
    periodSeconds: 20
    timeoutSeconds: 3
  # A pod is ready when all of its containers are: while Redis is away the runtime goes on, as the
  # failure modes say, and so must its pod.
  readinessProbe:
    exec: {command: [python, -m, sidecar.alive, "{{ $base }}/healthz"]}
    periodSeconds: 10
    timeoutSeconds: 3
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    {{- include "mozaiks-sidecar.security" . | nindent 4 }}
  volumeMounts:
    {{- include "mozaiks-sidecar.mounts" . | nindent 4 }}
    {{- if $socket }}
    - {name: sidecar-run, mountPath: {{ dir $socket | quote }}}
    {{- end }}
{{- end -}}

{{/* Where the pods of hooks may run: where those of the release do. */}}
{{- define "mozaiks-sidecar.placed" -}}
enableServiceLinks: false
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What both containers of the hook that checks policies are. */}}
{{- define "mozaiks-sidecar.checking" -}}
image: {{ include "mozaiks-sidecar.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - {name: MOZAIKS_MODE, value: {{ .Values.mode | quote }}}
  {{- with .Values.enforceQuotas }}
  - {name: MOZAIKS_ENFORCE_QUOTAS, value: {{ . | quote }}}
  {{- end }}
  {{- if .Values.prices }}
  - {name: SIDECAR_PRICES, value: /etc/sidecar/prices/prices.yaml}
  {{- end }}
resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 512Mi}}
securityContext:
  {{- include "mozaiks-sidecar.security" . | nindent 2 }}
volumeMounts:
  - {name: policies, mountPath: /etc/sidecar/policies, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.prices }}
  - {name: prices, mountPath: /etc/sidecar/prices, readOnly: true}
  {{- end }}
{{- end -}}
