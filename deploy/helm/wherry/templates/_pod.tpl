{{/* What the pods of all kinds share. */}}

{{- define "wherry.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "wherry.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "wherry.environment" -}}
envFrom:
  - configMapRef: {name: {{ include "wherry.fullname" . }}}
  {{- with include "wherry.storageSecret" . }}
  - secretRef: {name: {{ . }}}
  {{- end }}
env:
  - name: WHERRY_DATABASE
    valueFrom:
      secretKeyRef:
        name: {{ include "wherry.databaseSecret" . }}
        key: {{ .Values.database.key }}
{{- end -}}

{{/* A changed setting or credential replaces the pods. */}}
{{- define "wherry.checksums" -}}
checksum/settings: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
checksum/secrets: {{ include (print $.Template.BasePath "/secrets.yaml") . | sha256sum }}
{{- end -}}

{{- define "wherry.mounts" -}}
- {name: data, mountPath: /var/lib/wherry}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* Of a dict with `root` and `component`. */}}
{{- define "wherry.spread" -}}
{{- range $key, $skew := dict "kubernetes.io/hostname" 1 "topology.kubernetes.io/zone" 1 }}
- maxSkew: {{ $skew }}
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "wherry.selector" $.root | nindent 6 }}
      app.kubernetes.io/component: {{ $.component }}
{{- end }}
{{- end -}}

{{/* Where the pods of a component run, of its values. */}}
{{- define "wherry.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
