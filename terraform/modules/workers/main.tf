resource "aws_ecs_service" "this" {
  name                    = var.name
  cluster                 = var.cluster_arn
  task_definition         = var.task_definition_arn
  desired_count           = var.fewest
  launch_type             = "FARGATE"
  platform_version        = "LATEST"
  propagate_tags          = "SERVICE"
  enable_ecs_managed_tags = true
  enable_execute_command  = false # a shell in a process reads its secrets

  # New workers take partitions over before the old ones go.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = var.security_group_ids
    assign_public_ip = false
  }

  lifecycle {
    ignore_changes = [desired_count] # the policies below decide it
  }
}

resource "aws_appautoscaling_target" "this" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster_name}/${aws_ecs_service.this.name}"
  min_capacity       = var.fewest
  max_capacity       = var.most
}

# Steps, not target tracking: a backlog in seconds is not proportional to the number of workers, and target tracking
# takes that for granted. Each step moves partitions to other workers, which stops them for seconds, so there are few.
resource "aws_appautoscaling_policy" "more" {
  name               = "${var.name}-more"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 300 # a new worker starts, reads its tables and catches up

    # Bounds count from the alarm's threshold.
    step_adjustment {
      metric_interval_lower_bound = 0
      metric_interval_upper_bound = var.more_above_seconds * 3
      scaling_adjustment          = 1
    }

    step_adjustment {
      metric_interval_lower_bound = var.more_above_seconds * 3
      scaling_adjustment          = 2
    }
  }
}

resource "aws_appautoscaling_policy" "fewer" {
  name               = "${var.name}-fewer"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 1800

    step_adjustment {
      metric_interval_upper_bound = 0
      scaling_adjustment          = -1
    }
  }
}

# Our own figure, published by the workers. MSK's lag vanishes while a group is unstable, which is when it matters.
# No data changes nothing: without figures nobody knows whether there is work.
resource "aws_cloudwatch_metric_alarm" "more" {
  alarm_name          = "${var.name}-more"
  alarm_description   = "Adds workers: the oldest unprocessed message is too old."
  namespace           = var.metric.namespace
  metric_name         = var.metric.name
  dimensions          = var.metric.dimensions
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.more_above_seconds
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.more.arn]
}

resource "aws_cloudwatch_metric_alarm" "fewer" {
  alarm_name          = "${var.name}-fewer"
  alarm_description   = "Takes a worker away: nothing has waited for half an hour."
  namespace           = var.metric.namespace
  metric_name         = var.metric.name
  dimensions          = var.metric.dimensions
  statistic           = "Maximum"
  comparison_operator = "LessThanThreshold"
  threshold           = var.fewer_below_seconds
  period              = 60
  evaluation_periods  = 30
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.fewer.arn]
}
