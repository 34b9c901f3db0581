// P2: effector, memory, tumour in log states; non-centred; M3 for both outputs.
functions {
  vector rates(real t, vector s, real expansion, real loss, real to_memory, real kill, real tumour_half,
               real memory_loss, real growth) {
    real level = exp(s[1]);
    real tumour = exp(s[3]);
    real antigen = tumour / (tumour_half + tumour);
    vector[3] d;
    d[1] = expansion * antigen - loss - to_memory + 0.02 * antigen * exp(s[2] - s[1]);
    d[2] = to_memory * exp(s[1] - s[2]) - memory_loss - 0.02 * antigen;
    d[3] = growth * (1 - tumour / 10.0) - kill * level / (3000.0 + level);
    return d;
  }
}
data {
  int n_subjects;
  int n_times;
  array[n_subjects, n_times] real time;
  array[n_subjects] vector[n_times] qpcr;
  array[n_subjects, n_times] int qpcr_censored;
  array[n_subjects] vector[n_times] tumour;
  array[n_subjects, n_times] int tumour_censored;
  array[n_subjects] int tumour_seen;
  vector[2] log_limit;
  vector[5] typical_mean;
  vector[5] typical_sd;
  vector[5] omega_scale;
  vector[3] fixed_mean;
  vector[3] fixed_sd;
  vector[2] sigma_scale;
  real tolerance;
}
parameters {
  vector[5] typical;
  vector<lower=0>[5] omega;
  vector[3] fixed;
  vector<lower=0>[2] sigma;
  matrix[5, n_subjects] z;
}
model {
  typical ~ normal(typical_mean, typical_sd);
  omega ~ normal(0, omega_scale);
  fixed ~ normal(fixed_mean, fixed_sd);
  sigma ~ normal(0, sigma_scale);
  to_vector(z) ~ std_normal();
  vector[3] common = exp(fixed);
  for (i in 1:n_subjects) {
    vector[5] theta = typical + omega .* z[, i];
    vector[5] own = exp(theta);
    vector[3] start = [theta[5], theta[5] + log(0.01), 0.0]';
    array[n_times] vector[3] state = ode_rk45_tol(rates, start, 0.0, time[i], tolerance, tolerance, 5000,
                                                  own[1], own[2], own[3], own[4], common[1], common[2], common[3]);
    for (j in 1:n_times) {
      real level = log_sum_exp(state[j, 1], state[j, 2]);
      if (qpcr_censored[i, j] == 1) target += normal_lcdf(log_limit[1] | level, sigma[1]);
      else target += normal_lpdf(qpcr[i, j] | level, sigma[1]);
      if (tumour_seen[i] == 1) {
        if (tumour_censored[i, j] == 1) target += normal_lcdf(log_limit[2] | state[j, 3], sigma[2]);
        else target += normal_lpdf(tumour[i, j] | state[j, 3], sigma[2]);
      }
    }
  }
}
