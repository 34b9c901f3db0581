// P1: piecewise closed form, M3. centred[k] = 1 makes random effect k centred.
data {
  int n_subjects;
  int n_seen;
  int n_censored;
  array[n_seen] int seen_subject;
  vector[n_seen] seen_time;
  vector[n_seen] seen_value;
  array[n_censored] int censored_subject;
  vector[n_censored] censored_time;
  real log_limit;
  vector[6] typical_mean;
  vector[6] typical_sd;
  vector[6] omega_scale;
  real sigma_scale;
  array[6] int centred;
}
parameters {
  vector[6] typical;
  vector<lower=0>[6] omega;
  real<lower=0> sigma;
  matrix[n_subjects, 6] z;
}
model {
  matrix[n_subjects, 6] theta;
  typical ~ normal(typical_mean, typical_sd);
  omega ~ normal(0, omega_scale);
  sigma ~ normal(0, sigma_scale);
  for (k in 1:6) {
    if (centred[k] == 1) {
      z[, k] ~ normal(typical[k], omega[k]);
      theta[, k] = z[, k];
    } else {
      z[, k] ~ std_normal();
      theta[, k] = typical[k] + omega[k] * z[, k];
    }
  }
  vector[n_subjects] tmax = exp(theta[, 2]);
  vector[n_subjects] growth = log2() * exp(-theta[, 3]);
  vector[n_subjects] alpha = log2() * exp(-theta[, 4]);
  vector[n_subjects] beta = log2() * exp(-theta[, 5]);
  vector[n_subjects] log_fast = -log1p_exp(theta[, 6]);
  vector[n_subjects] log_slow = log_fast + theta[, 6];
  vector[n_seen] seen;
  vector[n_censored] hidden;
  for (i in 1:n_seen) {
    int s = seen_subject[i];
    real dt = seen_time[i] - tmax[s];
    seen[i] = theta[s, 1] + (dt < 0 ? growth[s] * dt
              : log_sum_exp(log_fast[s] - alpha[s] * dt, log_slow[s] - beta[s] * dt));
  }
  for (i in 1:n_censored) {
    int s = censored_subject[i];
    real dt = censored_time[i] - tmax[s];
    hidden[i] = theta[s, 1] + (dt < 0 ? growth[s] * dt
                : log_sum_exp(log_fast[s] - alpha[s] * dt, log_slow[s] - beta[s] * dt));
  }
  seen_value ~ normal(seen, sigma);
  target += normal_lcdf(rep_vector(log_limit, n_censored) | hidden, sigma);
}
