{{/* Name of everything here: the release's, with the chart's where that is not part of it. */}}
{{- define "fragility.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "fragility.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fragility.labels" -}}
{{ include "fragility.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "fragility.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "fragility.fullname" .) -}}
{{- end -}}

{{- define "fragility.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/*
A variable of the service. It reads values as TOML where they are, else as text; a JSON string is a TOML string, so
quoted ones are text whatever they look like.
*/}}
{{- define "fragility.text" -}}
- name: {{ .name }}
  value: {{ .value | toString | toJson | quote }}
{{- end -}}

{{/* What goes wrong only when it runs is said before. */}}
{{- define "fragility.check" -}}
{{- $k := .Values.kafka -}}
{{- $most := .Values.keda.enabled | ternary .Values.keda.maxReplicas .Values.replicas | int -}}
{{- if not $k.brokers -}}
{{- fail "kafka.brokers is empty: it must name a broker, HOST:PORT" -}}
{{- end -}}
{{- if gt $most (int $k.marketPartitions) -}}
{{- fail (printf "%d instances for %d partitions: one without a partition never gets ready (replicas, keda.maxReplicas, kafka.marketPartitions)" $most (int $k.marketPartitions)) -}}
{{- end -}}
{{- if and (or (gt $most 1) (gt (int $k.lanes) 1)) (not $k.topics.members) -}}
{{- fail "kafka.topics.members is empty: groups are judged wrongly by more than one instance or lane without it" -}}
{{- end -}}
{{- if and .Values.keda.enabled (gt (int .Values.keda.minReplicas) (int .Values.keda.maxReplicas)) -}}
{{- fail "keda.minReplicas is above keda.maxReplicas" -}}
{{- end -}}
{{- range $key, $value := $k.properties -}}
{{- if or (contains "password" $key) (eq $key "ssl.key.pem") (eq $key "ssl.keystore.key") (eq $key "sasl.oauthbearer.client.secret") (eq $key "sasl.jaas.config") -}}
{{- fail (printf "kafka.properties.%s is a secret: give it by kafka.sasl, kafka.tls or extraEnv with a secretKeyRef" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
