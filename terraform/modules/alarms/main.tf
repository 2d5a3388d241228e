resource "aws_sns_topic" "this" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.key_arn
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.key
}

locals {
  kafka_cluster = var.kafka == null ? [] : [var.kafka.cluster_name]
  kafka_disks   = var.kafka == null ? [] : [for number in range(var.kafka.brokers_with_disks) : tostring(number + 1)]

  # What a single figure says. `missing` is what no data means.
  simple = merge(
    {
      backlog = {
        text      = "Feedback waits too long, or no worker says how long. docs/runbook.md: SoulcasterBacklog, SoulcasterNoWorker"
        namespace = var.metrics.namespace, metric = var.metrics.backlog, dimensions = var.metrics.dimensions
        statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = var.backlog_seconds
        minutes   = 10, missing = "breaching"
      }
      stands-still = {
        text      = "An agent has work and gets nowhere. docs/runbook.md: SoulcasterStandsStill"
        namespace = var.metrics.namespace, metric = var.metrics.commit_age, dimensions = var.metrics.dimensions
        statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 180
        minutes   = 5, missing = "notBreaching" # the alarm above says that
      }
      records-lost = {
        text      = "Partitions stand still because records were deleted before they were read. docs/runbook.md: SoulcasterRecordsLost"
        namespace = var.metrics.namespace, metric = var.metrics.stopped, dimensions = var.metrics.dimensions
        statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 0
        minutes   = 2, missing = "notBreaching"
      }
      dead-letters = {
        text      = "Messages were set aside. docs/runbook.md: SoulcasterDeadLetters"
        namespace = var.metrics.namespace, metric = var.metrics.dead_letters, dimensions = var.metrics.dimensions
        statistic = "Sum", comparison = "GreaterThanThreshold", threshold = 0
        minutes   = 1, missing = "notBreaching"
      }
      web-unhealthy = {
        text       = "A web server does not answer its health check."
        namespace  = "AWS/ApplicationELB", metric = "UnHealthyHostCount"
        dimensions = { LoadBalancer = var.load_balancer.arn_suffix, TargetGroup = var.load_balancer.target_group_arn_suffix }
        statistic  = "Maximum", comparison = "GreaterThanThreshold", threshold = 0
        minutes    = 10, missing = "notBreaching"
      }
      web-errors = {
        text       = "The web server answers with 5xx. docs/runbook.md: SoulcasterHttpErrors"
        namespace  = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count"
        dimensions = { LoadBalancer = var.load_balancer.arn_suffix, TargetGroup = var.load_balancer.target_group_arn_suffix }
        statistic  = "Sum", comparison = "GreaterThanThreshold", threshold = 5
        minutes    = 5, missing = "notBreaching"
      }
      web-unreachable = {
        text       = "The load balancer itself answers with 5xx: it reaches no web server."
        namespace  = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count"
        dimensions = { LoadBalancer = var.load_balancer.arn_suffix }
        statistic  = "Sum", comparison = "GreaterThanThreshold", threshold = 5
        minutes    = 5, missing = "notBreaching"
      }
    },
    {
      for node in var.cache_node_ids : "cache-memory-${node}" => {
        text       = "The cache fills up. It drops nothing, so writes are refused when it is full: take a larger node."
        namespace  = "AWS/ElastiCache", metric = "DatabaseMemoryUsagePercentage"
        dimensions = { CacheClusterId = node }
        statistic  = "Maximum", comparison = "GreaterThanThreshold", threshold = 75
        minutes    = 10, missing = "notBreaching"
      }
    },
    {
      for node in var.cache_node_ids : "cache-cpu-${node}" => {
        text       = "The cache has no time: it works on one core."
        namespace  = "AWS/ElastiCache", metric = "EngineCPUUtilization"
        dimensions = { CacheClusterId = node }
        statistic  = "Average", comparison = "GreaterThanThreshold", threshold = 80
        minutes    = 10, missing = "notBreaching"
      }
    },
    {
      for cluster in local.kafka_cluster : "kafka-offline" => {
        text       = "Partitions of Kafka have no leader: they can be neither written nor read."
        namespace  = "AWS/Kafka", metric = "OfflinePartitionsCount"
        dimensions = { "Cluster Name" = cluster }
        statistic  = "Maximum", comparison = "GreaterThanThreshold", threshold = 0
        minutes    = 5, missing = "notBreaching"
      }
    },
    {
      for cluster in local.kafka_cluster : "kafka-controller" => {
        text       = "Kafka has no controller, or says nothing."
        namespace  = "AWS/Kafka", metric = "ActiveControllerCount"
        dimensions = { "Cluster Name" = cluster }
        statistic  = "Maximum", comparison = "LessThanThreshold", threshold = 1
        minutes    = 10, missing = "breaching"
      }
    },
    {
      for broker in local.kafka_disks : "kafka-disk-${broker}" => {
        text       = "A broker's disk fills up. Most topics are kept for ever: raise disk_gb."
        namespace  = "AWS/Kafka", metric = "KafkaDataLogsDiskUsed"
        dimensions = { "Cluster Name" = one(local.kafka_cluster), "Broker ID" = broker }
        statistic  = "Maximum", comparison = "GreaterThanThreshold", threshold = 75
        minutes    = 10, missing = "notBreaching"
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "simple" {
  for_each = local.simple

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  treat_missing_data  = each.value.missing
  actions_enabled     = var.enabled
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

# A deployment and a step of autoscaling take minutes; tasks that die again and again take longer.
resource "aws_cloudwatch_metric_alarm" "tasks" {
  for_each = var.services

  alarm_name          = "${var.name}-tasks-${each.key}"
  alarm_description   = "Fewer tasks of ${each.key} run than should. The service's events in ECS say why."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 15
  treat_missing_data  = "breaching"
  actions_enabled     = var.enabled
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]

  metric_query {
    id          = "missing"
    expression  = "wanted - running"
    label       = "Tasks that do not run"
    return_data = true
  }

  metric_query {
    id = "wanted"

    metric {
      namespace   = "ECS/ContainerInsights"
      metric_name = "DesiredTaskCount"
      dimensions  = { ClusterName = var.cluster_name, ServiceName = each.key }
      period      = 60
      stat        = "Maximum"
    }
  }

  metric_query {
    id = "running"

    metric {
      namespace   = "ECS/ContainerInsights"
      metric_name = "RunningTaskCount"
      dimensions  = { ClusterName = var.cluster_name, ServiceName = each.key }
      period      = 60
      stat        = "Minimum"
    }
  }
}
